import { toAppError, type ErrorCode } from "@memseal/errors";
import type { Metrics } from "@memseal/telemetry";
import type { BatcherObserver } from "./batcher.js";
import type { Service } from "./config.js";

/** What a lane does for a service. */
type Stage = "tokenization" | "inference";
type Failure = "validation" | "overloaded" | "deadline" | "cancelled" | "backend";

const FAILURES: Partial<Record<ErrorCode, Failure>> = {
  invalid_argument: "validation",
  resource_exhausted: "overloaded",
  deadline_exceeded: "deadline",
  cancelled: "cancelled",
};

/** What is served, for the metrics. */
export interface ServedModel {
  readonly service: Service;
  readonly model: string;
  readonly provider: "cpu" | "cuda" | "endpoint";
  /** Texts or pairs that wait now. */
  readonly waiting: () => number;
}

/** What this process counts of its models, under the names of text-embeddings-inference. */
export class ModelMetrics {
  readonly #counts;
  readonly #successes;
  readonly #failures;
  readonly #durations;
  readonly #tokenization;
  readonly #queue;
  readonly #inference;
  readonly #sizes;
  readonly #tokens;

  constructor(private readonly metrics: Metrics, services: ReadonlySet<Service>) {
    const service = [...services];
    this.#counts = metrics.counter("te_request_count", { service });
    this.#successes = metrics.counter("te_request_success", { service });
    this.#failures = metrics.counter("te_request_failure", { service });
    this.#durations = metrics.latency("te_request_duration", { service });
    this.#tokenization = metrics.latency("te_request_tokenization_duration", { service });
    this.#queue = metrics.latency("te_request_queue_duration", { service });
    this.#inference = metrics.latency("te_request_inference_duration", { service });
    this.#sizes = metrics.sizes("te_batch_next_size", { service });
    this.#tokens = metrics.sizes("te_batch_next_tokens", { service });
  }

  /** From now on this is what is served. */
  serves(models: readonly ServedModel[]): void {
    this.metrics.gauge("memseal_model_info", () => models.map(({ service, model, provider }) => ({ service, model, provider, value: 1 })));
    this.metrics.gauge("te_queue_size", () => models.map(({ service, waiting }) => ({ service, value: waiting() })));
  }

  /** Counts one call. method: `single` for one text, `batch` for many. */
  async observe<T>(service: Service, method: "single" | "batch", work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    this.#counts.inc({ service, method });
    try {
      const answer = await work();
      this.#successes.inc({ service, method });
      this.#durations.observe({ service }, (performance.now() - startedAt) / 1_000);
      return answer;
    } catch (error) {
      this.#failures.inc({ service, err: FAILURES[toAppError(error).code] ?? "backend" });
      throw error;
    }
  }

  /** Of the batcher whose lanes do so for the service; a lane without a stage is timed nowhere. */
  observer<LaneName extends string>(service: Service, stages: Readonly<Partial<Record<LaneName, Stage>>>): BatcherObserver<LaneName> {
    return {
      onRun: (lane, { items, tokens }) => {
        if (stages[lane] !== "inference") return;
        this.#sizes.observe({ service }, items);
        this.#tokens.observe({ service }, tokens);
      },
      onDone: (lane, { queuedMs, ranMs }) => {
        switch (stages[lane]) {
          case "tokenization":
            this.#tokenization.observe({ service }, (queuedMs + ranMs) / 1_000);
            break;
          case "inference":
            this.#queue.observe({ service }, queuedMs / 1_000);
            this.#inference.observe({ service }, ranMs / 1_000);
            break;
          case undefined:
            break;
        }
      },
    };
  }
}
