import { BREAKER_STATES, type Breaker } from "@memseal/resilience";
import type { Code, Logger, Metrics } from "@memseal/telemetry";
import { DENSE_SKIPS, RERANK_SKIPS, STAGES, type Stage } from "./answer-query.js";
import { FLAGS, type Flags } from "./flags.js";
import type { UntakenAnswers } from "./untaken-answers.js";

const METHODS = ["add", "search", "search_stream", "get", "list", "update", "history", "delete", "delete_many", "list_audit", "erase", "get_erasure", "create_token", "rerank", "rerank_stream"] as const;
export type Method = (typeof METHODS)[number];

const STREAMS = ["search_stream", "rerank_stream"] as const satisfies readonly Method[];
export type StreamMethod = (typeof STREAMS)[number];

export type Transport = "http" | "grpc";

export interface Answered {
  transport: Transport;
  /** `other` for what no route takes. */
  method: Method | "other";
  code: Code;
  requestId: string;
  durationMs: number;
}

export interface FirstValue {
  transport: Transport;
  method: StreamMethod;
  /** Since the request arrived. */
  durationMs: number;
}

/** What the gateway counts, and the log line of each request. */
export class GatewayMetrics {
  readonly #requests;
  readonly #latency;
  readonly #firstValue;
  readonly #stages;
  readonly #reranked;
  readonly #rerankShortened;
  readonly #rerankSkipped;
  readonly #denseSkipped;

  constructor(private readonly metrics: Metrics, private readonly log: Logger) {
    const method = [...METHODS, "other"];
    this.#requests = metrics.counter("memseal_requests_total", { method });
    this.#latency = metrics.latency("memseal_request_duration_seconds", { method });
    this.#firstValue = metrics.latency("memseal_time_to_first_value_seconds", { method: STREAMS });
    this.#stages = metrics.latency("memseal_search_stage_duration_seconds", { stage: STAGES });
    this.#reranked = metrics.counter("memseal_reranked_total", {});
    this.#rerankShortened = metrics.counter("memseal_rerank_shortened_total", {});
    this.#rerankSkipped = metrics.counter("memseal_rerank_skipped_total", { reason: RERANK_SKIPS });
    this.#denseSkipped = metrics.counter("memseal_dense_skipped_total", { reason: DENSE_SKIPS });
  }

  answered({ transport, method, code, requestId, durationMs }: Answered): void {
    this.#requests.inc({ transport, method, code });
    this.#latency.observe({ transport, method }, durationMs / 1_000);
    this.log.info("request", { method, code, requestId, durationMs: Math.round(durationMs * 1_000) / 1_000 });
  }

  firstValue({ transport, method, durationMs }: FirstValue): void {
    this.#firstValue.observe({ transport, method }, durationMs / 1_000);
  }

  /** Shows the state of each breaker, by its name, and of each flag, and what waits to be taken. */
  watch(breakers: Readonly<Record<string, Breaker>>, flags: Flags, untaken: UntakenAnswers): void {
    this.metrics.gauge("memseal_breaker_state", () =>
      Object.entries(breakers).flatMap(([breaker, { state: current }]) => BREAKER_STATES.map((state) => ({ breaker, state, value: Number(state === current) }))));
    this.metrics.gauge("memseal_flag_state", () => FLAGS.map((flag) => ({ flag, value: Number(flags.isOn(flag)) })));
    this.metrics.gauge("memseal_untaken_answer_bytes", () => [{ value: untaken.totalBytes }]);
  }

  stage(stage: Stage, ms: number): void {
    this.#stages.observe({ stage }, ms / 1_000);
  }

  reranked(): void {
    this.#reranked.inc();
  }

  rerankShortened(): void {
    this.#rerankShortened.inc();
  }

  rerankSkipped(reason: string): void {
    this.#rerankSkipped.inc({ reason });
  }

  denseSkipped(reason: string): void {
    this.#denseSkipped.inc({ reason });
  }
}
