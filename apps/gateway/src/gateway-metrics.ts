import { SKIP_REASONS } from "@memseal/resilience";
import type { Logger, Metrics } from "@memseal/telemetry";
import type { ErrorCode } from "@memseal/errors";

const METHODS = ["add", "search", "get", "list", "delete"] as const;
export type Method = (typeof METHODS)[number];

const TRANSPORTS = ["http", "grpc"] as const;
export type Transport = (typeof TRANSPORTS)[number];

const CODES = [
  "ok", "invalid_argument", "unauthenticated", "permission_denied", "not_found", "already_exists", "aborted", "failed_precondition",
  "resource_exhausted", "unavailable", "deadline_exceeded", "cancelled", "data_loss", "unimplemented", "internal",
] as const satisfies readonly (ErrorCode | "ok")[];
export type Code = (typeof CODES)[number];

export interface Answered {
  transport: Transport;
  /** `other` for what no route takes. */
  method: Method | "other";
  code: Code;
  requestId: string;
  durationMs: number;
}

/** What the gateway counts, and the log line of each request. */
export class GatewayMetrics {
  readonly #requests;
  readonly #latency;
  readonly #rerankSkipped;
  readonly #denseSkipped;

  constructor(metrics: Metrics, private readonly log: Logger) {
    const labels = { method: [...METHODS, "other"], transport: TRANSPORTS };
    this.#requests = metrics.counter({ name: "memseal_requests_total", help: "Requests answered, by code.", labels: { ...labels, code: CODES } });
    this.#latency = metrics.latency({ name: "memseal_request_duration_seconds", help: "From the request's arrival to its answer.", labels });
    this.#rerankSkipped = metrics.counter({
      name: "memseal_rerank_skipped_total",
      help: "Searches answered in fused order, by reason.",
      labels: { reason: [...SKIP_REASONS, "disabled"] },
    });
    this.#denseSkipped = metrics.counter({
      name: "memseal_dense_skipped_total",
      help: "Searches answered from BM25 alone, by reason.",
      labels: { reason: SKIP_REASONS },
    });
  }

  answered({ transport, method, code, requestId, durationMs }: Answered): void {
    this.#requests.inc({ transport, method, code });
    this.#latency.observe({ transport, method }, durationMs / 1_000);
    this.log.info("request", { method, code, requestId, durationMs: Math.round(durationMs * 1_000) / 1_000 });
  }

  rerankSkipped(reason: string): void {
    this.#rerankSkipped.inc({ reason });
  }

  denseSkipped(reason: string): void {
    this.#denseSkipped.inc({ reason });
  }
}
