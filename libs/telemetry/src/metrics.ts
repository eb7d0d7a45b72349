import type { ErrorCode } from "@memseal/errors";
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

/** Upper edges in seconds, with one at each limit a guardrail watches. */
const LATENCY_EDGES_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.4, 0.75, 1, 1.5, 2.5, 5, 10, 30];

/** Upper edges of shares of a whole. */
const RATIO_EDGES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/** Upper edges of counts and of tokens. */
const SIZE_EDGES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384];

/** How a call can end. */
export const CODES = [
  "ok", "invalid_argument", "unauthenticated", "permission_denied", "not_found", "already_exists", "aborted", "failed_precondition",
  "resource_exhausted", "unimplemented", "unavailable", "deadline_exceeded", "cancelled", "data_loss", "internal",
] as const satisfies readonly (ErrorCode | "ok")[];
export type Code = (typeof CODES)[number];

/**
 * Every metric of the product: unit in the name, and each label with all its values, so that every series is there from
 * the start, at 0. A label whose values are a process's own (its methods, its reasons) is null here. Never a value that comes from a user.
 */
export const METRICS = {
  memseal_requests_total: { type: "counter", help: "Requests of callers answered.", labels: { method: null, transport: ["http", "grpc"], code: CODES } },
  memseal_request_duration_seconds: { type: "latency", help: "Arrival of a caller's request to its answer.", labels: { method: null, transport: ["http", "grpc"] } },
  memseal_time_to_first_value_seconds: { type: "latency", help: "Arrival of a streaming request to its first event.", labels: { method: null, transport: ["http", "grpc"] } },
  memseal_calls_total: { type: "counter", help: "Calls between services answered.", labels: { method: null, code: CODES } },
  memseal_call_duration_seconds: { type: "latency", help: "Arrival of a call between services to its answer.", labels: { method: null } },
  // What models do, under the names that text-embeddings-inference gives it; durations in seconds, of calls that succeeded.
  te_request_count: { type: "counter", help: "Calls to a model's service.", labels: { service: null, method: ["single", "batch"] } },
  te_request_success: { type: "counter", help: "Calls answered.", labels: { service: null, method: ["single", "batch"] } },
  te_request_failure: {
    type: "counter",
    help: "Calls not answered.",
    labels: { service: null, err: ["validation", "overloaded", "deadline", "cancelled", "backend"] },
  },
  te_request_duration: { type: "latency", help: "Arrival of a call to its answer.", labels: { service: null } },
  te_request_tokenization_duration: { type: "latency", help: "Tokenising of a call, with the wait for it.", labels: { service: null } },
  te_request_queue_duration: { type: "latency", help: "Wait of a call's first text, once tokenised, for a run.", labels: { service: null } },
  te_request_inference_duration: { type: "latency", help: "Begin of a call's first run to the end of its last.", labels: { service: null } },
  te_queue_size: { type: "gauge", help: "Texts or pairs that wait for a run.", labels: { service: null } },
  te_batch_next_size: { type: "sizes", help: "Texts or pairs of a run.", labels: { service: null } },
  te_batch_next_tokens: { type: "sizes", help: "Tokens of a run, each text as long as the longest.", labels: { service: null } },
  memseal_model_info: { type: "gauge", help: "1: the model that is served, and what runs it.", labels: { service: null, model: null, provider: ["cpu", "cuda", "endpoint"] } },
  memseal_reranked_total: { type: "counter", help: "Searches that the cross-encoder put in order.", labels: {} },
  memseal_rerank_shortened_total: { type: "counter", help: "Of them, those with fewer candidates than the depth, for lack of time.", labels: {} },
  memseal_rerank_skipped_total: { type: "counter", help: "Searches answered in fused order.", labels: { reason: null } },
  memseal_dense_skipped_total: { type: "counter", help: "Searches answered by words alone.", labels: { reason: null } },
  memseal_search_stage_duration_seconds: { type: "latency", help: "Steps of searches, of those that took it.", labels: { stage: null } },
  memseal_breaker_state: { type: "gauge", help: "1 for the state that a breaker is in, 0 for the others.", labels: { breaker: null, state: ["closed", "open", "half_open"] } },
  memseal_flag_state: { type: "gauge", help: "1 for what is switched on, 0 for what is switched off.", labels: { flag: null } },
  memseal_untaken_answer_bytes: { type: "gauge", help: "Answers that are made and that their callers have not taken yet.", labels: {} },
  memseal_integrity_failures_total: { type: "counter", help: "Sealed rows that do not open, each counted once.", labels: {} },
  memseal_api_keys_refused_total: {
    type: "counter",
    help: "API keys shown with their right secret whose row is not as it was written: without a MAC, or with that of another row.",
    labels: { reason: ["unauthenticated", "altered"] },
  },
  memseal_database_pool_use_ratio: { type: "ratio", help: "Share of the database connections in use, at each checkout.", labels: {} },
  memseal_database_waits_total: {
    type: "counter",
    help: "Calls that did not have a database connection at once, by how their wait ended.",
    labels: { outcome: ["served", "full", "timeout", "left"] },
  },
  memseal_index_bytes: { type: "gauge", help: "Tenant indexes in memory, by estimate.", labels: {} },
  memseal_index_refreshes_total: {
    type: "counter",
    help: "Tenant indexes brought up to date: by what is newer, or loaded whole.",
    labels: { how: ["catch_up", "load"] },
  },
  memseal_maintenance_removed_total: {
    type: "counter",
    help: "Rows past their time that were taken away.",
    labels: { kind: ["expired", "tombstones", "answers", "versions", "erased"] },
  },
  memseal_cross_tenant_reached_total: { type: "counter", help: "A row of another tenant came back from the database: a wall has failed.", labels: { where: ["row_security"] } },
  memseal_cross_tenant_refused_total: {
    type: "counter",
    help: "A wall between tenants held: the database refused a statement, the indexer an assertion, the gateway another user's id.",
    labels: { where: ["row_security", "assertion", "user_id"] },
  },
} as const satisfies Record<string, MetricSpec>;

interface MetricSpec {
  type: "counter" | "gauge" | "latency" | "sizes" | "ratio";
  help: string;
  labels: Readonly<Record<string, readonly string[] | null>>;
}

type Metric = keyof typeof METRICS;
type OfType<Type> = { [M in Metric]: (typeof METRICS)[M]["type"] extends Type ? M : never }[Metric];
type LabelsOf<M extends Metric> = keyof (typeof METRICS)[M]["labels"] & string;
/** The labels whose values the process gives. */
type GivenOf<M extends Metric> = { [L in LabelsOf<M>]: (typeof METRICS)[M]["labels"][L & keyof (typeof METRICS)[M]["labels"]] extends null ? L : never }[LabelsOf<M>];
/** Of a gauge: its labels and its value. */
type Sample<M extends Metric> = Readonly<Record<LabelsOf<M>, string> & { value: number }>;
type Given<M extends Metric> = Readonly<Record<GivenOf<M>, readonly string[]>>;

/** The metrics of one process. Every series carries `track`. */
export class Metrics {
  readonly #registry = new Registry();

  /** track: `stable` or `canary`, so that a release can be judged apart from the one beside it. */
  constructor(track: string) {
    this.#registry.setDefaultLabels({ track });
    collectDefaultMetrics({ register: this.#registry });
  }

  counter<M extends OfType<"counter">>(name: M, given: Given<M>): Counter<LabelsOf<M>> {
    const { help, labels } = specOf(name, given);
    const counter = new Counter({ name, help, labelNames: Object.keys(labels) as LabelsOf<M>[], registers: [this.#registry] });
    for (const values of combinations<LabelsOf<M>>(labels)) counter.inc(values, 0);
    return counter;
  }

  /** A latency histogram in seconds. */
  latency<M extends OfType<"latency">>(name: M, given: Given<M>): Histogram<LabelsOf<M>> {
    return this.#histogram(name, given, LATENCY_EDGES_S);
  }

  /** A histogram of shares, from 0 to 1. */
  ratio<M extends OfType<"ratio">>(name: M, given: Given<M>): Histogram<LabelsOf<M>> {
    return this.#histogram(name, given, RATIO_EDGES);
  }

  /** A histogram of counts. */
  sizes<M extends OfType<"sizes">>(name: M, given: Given<M>): Histogram<LabelsOf<M>> {
    return this.#histogram(name, given, SIZE_EDGES);
  }

  /** Values that are read at each scrape, one for each set of labels. */
  gauge<M extends OfType<"gauge">>(name: M, read: () => readonly Sample<M>[]): void {
    const { help, labels } = METRICS[name];
    new Gauge({
      name, help, labelNames: Object.keys(labels), registers: [this.#registry],
      collect() {
        this.reset();
        for (const { value, ...of } of read()) this.set(of as Record<string, string>, value);
      },
    });
  }

  /** Prometheus text format. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  #histogram<M extends Metric>(name: M, given: Given<M>, buckets: number[]): Histogram<LabelsOf<M>> {
    const { help, labels } = specOf(name, given);
    const histogram = new Histogram({ name, help, labelNames: Object.keys(labels) as LabelsOf<M>[], buckets, registers: [this.#registry] });
    for (const values of combinations<LabelsOf<M>>(labels)) histogram.zero(values);
    return histogram;
  }
}

function specOf(name: Metric, given: Readonly<Record<string, readonly string[]>>): { help: string; labels: Record<string, readonly string[]> } {
  const { help, labels } = METRICS[name];
  return { help, labels: Object.fromEntries(Object.entries(labels).map(([label, values]: [string, readonly string[] | null]) => [label, values ?? given[label] ?? []])) };
}

function combinations<Label extends string>(labels: Readonly<Record<string, readonly string[]>>): Record<Label, string>[] {
  let rows = [{} as Record<Label, string>];
  for (const [label, values] of Object.entries(labels)) rows = rows.flatMap((row) => values.map((value) => ({ ...row, [label]: value })));
  return rows;
}
