import { createServer, type Server } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** A span as it was sent. */
export interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly service: string;
  /** OTLP's numbers: 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly isError: boolean;
  /** Unix time. */
  readonly startedAtMs: number;
  readonly durationMs: number;
}

interface OtlpAttribute { key: string; value: Record<string, unknown> }
interface OtlpBody {
  resourceSpans: {
    resource: { attributes: OtlpAttribute[] };
    scopeSpans: { spans: { traceId: string; spanId: string; parentSpanId?: string; name: string; kind: number; attributes: OtlpAttribute[]; status: { code?: number }; startTimeUnixNano: string; endTimeUnixNano: string }[] }[];
  }[];
}

const record = (attributes: readonly OtlpAttribute[]) => Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

/** Takes spans as a collector does. Source: OTLP 1.x over HTTP, JSON. */
export class OtlpReceiver {
  /** As they came. */
  readonly bodies: string[] = [];
  readonly spans: SentSpan[] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<OtlpReceiver> {
    const server = createServer((request, response) => {
      void text(request).then((body) => {
        receiver.#take(body);
        response.setHeader("content-type", "application/json").end("{}");
      });
    });
    const receiver = new OtlpReceiver(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1/traces`;
  }

  /** The spans of the first trace, whole or not, of which `isWhole` says so. @throws Error when there is none within 20 s */
  async trace(isWhole: (spans: readonly SentSpan[]) => boolean): Promise<SentSpan[]> {
    for (let tries = 0; tries < 200; tries++) {
      for (const traceId of new Set(this.spans.map((span) => span.traceId))) {
        const spans = this.spans.filter((span) => span.traceId === traceId);
        if (isWhole(spans)) return spans;
      }
      await delay(100);
    }
    throw new Error(`no such trace among ${this.spans.map(({ service, name }) => `${service} ${name}`).join(", ")}`);
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  #take(body: string): void {
    this.bodies.push(body);
    for (const { resource, scopeSpans } of (JSON.parse(body) as OtlpBody).resourceSpans) {
      const service = String(record(resource.attributes)["service.name"]);
      for (const { spans } of scopeSpans) {
        for (const { traceId, spanId, parentSpanId = "", name, kind, attributes, status, startTimeUnixNano, endTimeUnixNano } of spans) {
          const durationMs = Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e6;
          this.spans.push({ traceId, spanId, parentSpanId, name, kind, service, attributes: record(attributes), isError: status.code === 2, startedAtMs: Number(startTimeUnixNano) / 1e6, durationMs });
        }
      }
    }
  }
}
