import { setTimeout as delay } from "node:timers/promises";
import { context, isSpanContextValid, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags, type Context, type Span } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { ExportResultCode, W3CTraceContextPropagator, type ExportResult } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { AlwaysOffSampler, BasicTracerProvider, BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler, type ReadableSpan, type Sampler, type SpanExporter } from "@opentelemetry/sdk-trace-base";
import { toAppError, type ErrorCode } from "@memseal/errors";
import type { Logger } from "./logger.js";

const CLOSE_WITHIN_MS = 2_000;

/** Metadata key and header that carry a trace from one process to the next. Source: W3C Trace Context, 3.2. */
export const TRACEPARENT_KEY = "traceparent";

export interface TracingSpec {
  service: string;
  track: string;
  /** Where spans go: an OTLP receiver over HTTP, such as http://collector:4318/v1/traces. Nowhere unless set. */
  url: string | undefined;
  /**
   * What part of the requests is traced, 0 to 1; only where requests come from outside: whether they want to be is then not asked. Unset,
   * a request is traced where whoever sent it traces it.
   */
  share?: number;
  log: Logger;
}

/** The spans of this process. Without somewhere to send them nothing is made. */
export class Tracing {
  private constructor(private readonly provider: BasicTracerProvider | undefined) {}

  /** Once a process: spans are made by whatever code runs in it. */
  static start({ service, track, url, share, log }: TracingSpec): Tracing {
    if (url === undefined) return new Tracing(undefined);
    const provider = new BasicTracerProvider({
      resource: resourceFromAttributes({ "service.namespace": "memseal", "service.name": `memseal-${service}`, "memseal.track": track }),
      sampler: samplerOf(share),
      spanProcessors: [new BatchSpanProcessor(new HonestExporter(new OTLPTraceExporter({ url }), log))],
    });
    trace.setGlobalTracerProvider(provider);
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    // Neither baggage nor tracestate: what callers put there could be anything, and would go on to every process and to the receiver.
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    return new Tracing(provider);
  }

  /** Sends what was not sent yet. A receiver that is away fails no stop, and holds none up for long. */
  async close(): Promise<void> {
    await Promise.race([this.provider?.shutdown().catch(() => undefined), delay(CLOSE_WITHIN_MS, undefined, { ref: false })]);
  }
}

function samplerOf(share: number | undefined): Sampler {
  if (share === undefined) return new ParentBasedSampler({ root: new AlwaysOffSampler() });
  const ratio = new TraceIdRatioBasedSampler(share);
  return new ParentBasedSampler({ root: ratio, remoteParentSampled: ratio, remoteParentNotSampled: ratio });
}

/** Says once that spans are lost, and that they are no longer. */
class HonestExporter implements SpanExporter {
  #isLosing = false;

  constructor(private readonly inner: SpanExporter, private readonly log: Logger) {}

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.inner.export(spans, (result) => {
      const isLosing = result.code !== ExportResultCode.SUCCESS;
      if (isLosing && !this.#isLosing) this.log.warn("traces lost", { count: spans.length });
      if (!isLosing && this.#isLosing) this.log.info("traces sent again", {});
      this.#isLosing = isLosing;
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.inner.shutdown();
  }
}

export { SpanKind };

/** What a span may say: names and numbers of our own. None takes text, metadata, vectors, user ids or keys. */
export type SpanAttributes = Readonly<Partial<Record<"rpc.system.name" | "rpc.method" | "http.request.method" | "http.route" | "db.system.name" | "db.operation.name" | "memseal.request_id" | "memseal.peer", string>>>;

export interface SpanSpec {
  /** Of ours, such as `memseal.indexer.v1.IndexerService/Search`: few, and the same for all users. */
  name: string;
  kind?: SpanKind;
  attributes?: SpanAttributes;
}

const tracer = trace.getTracer("memseal");

/** Does work in a span below the current one. @throws what the work throws */
export function inSpan<T>({ name, kind = SpanKind.INTERNAL, attributes = {} }: SpanSpec, work: () => Promise<T>): Promise<T> {
  // Where nobody traces, nothing is paid for it.
  if (trace.getActiveSpan()?.isRecording() !== true) return work();
  return tracer.startActiveSpan(name, { kind, attributes }, (span) =>
    work().then(
      (value) => {
        endSpan(span, "ok");
        return value;
      },
      (error: unknown) => {
        endSpan(span, toAppError(error).code);
        throw error;
      },
    ));
}

/** A span of a request that came in, below the one whose `traceparent` it brought, if any. Whoever starts it ends it. */
export function startServerSpan({ name, attributes = {} }: SpanSpec, traceparent: string | undefined): { span: Span; within: Context } {
  const parent = traceparent === undefined ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, { [TRACEPARENT_KEY]: traceparent });
  const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent);
  return { span, within: trace.setSpan(parent, span) };
}

/** Runs synchronous work, and all that it begins, in a context. */
export function runWithin<T>(within: Context, work: () => T): T {
  return context.with(within, work);
}

/** Codes that are no fault of the service. */
const ANSWERS: ReadonlySet<string> = new Set<ErrorCode | "ok">(["ok", "invalid_argument", "unauthenticated", "permission_denied", "not_found", "already_exists", "aborted", "failed_precondition", "resource_exhausted", "cancelled"]);

/** Its code, and no message: those of drivers and libraries can quote rows. */
export function endSpan(span: Span, code: ErrorCode | "ok"): void {
  span.setAttribute("memseal.code", code);
  if (!ANSWERS.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

/** What a request to the next process takes along; nothing where nobody traces. */
export function currentTraceparent(): string | undefined {
  const spanContext = trace.getActiveSpan()?.spanContext();
  if (spanContext === undefined || !isSpanContextValid(spanContext) || (spanContext.traceFlags & TraceFlags.SAMPLED) === 0) return undefined;
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier[TRACEPARENT_KEY];
}
