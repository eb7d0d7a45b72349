/** Which series of a metric, as a scrape shows them: each label named has one of these values; others may have any. */
export interface Selector {
  readonly metric: string;
  readonly labels?: Readonly<Record<string, readonly string[]>>;
}

interface Described<Id extends string> {
  readonly id: Id;
  /** What is watched, in a few words for people. */
  readonly title: string;
}

/** The share of `trials` that are `breaches`, at most `limit`. The trials count the breaches, too. */
export interface RateGuardrail<Id extends string = string> extends Described<Id> {
  readonly kind: "rate";
  readonly limit: number;
  readonly trials: readonly Selector[];
  readonly breaches: readonly Selector[];
  /** True where a candidate over the limit is excused as long as it is no worse than the release beside it. */
  readonly orAsStable?: true;
}

/** The `quantile` of a histogram, at most `limit` in its unit: a breach is an observation above the limit, and 1 - quantile of them may be. */
export interface QuantileGuardrail<Id extends string = string> extends Described<Id> {
  readonly kind: "quantile";
  readonly quantile: number;
  /** Must be an edge of the histogram: between two edges nobody can count what lies above. */
  readonly limit: number;
  readonly unit: "seconds" | "ratio";
  readonly histogram: Selector;
}

/**
 * The share of `trials` that are `breaches`, at most that of the stable release. Rare events prove nothing by comparison,
 * so a share under `negligible` need not be compared to be promoted.
 */
export interface ComparedGuardrail<Id extends string = string> extends Described<Id> {
  readonly kind: "compared";
  readonly negligible: number;
  readonly trials: readonly Selector[];
  readonly breaches: readonly Selector[];
}

/** What must never happen: the first event decides, without statistics. */
export interface NeverGuardrail<Id extends string = string> extends Described<Id> {
  readonly kind: "never";
  readonly events: readonly Selector[];
  /** True where an event is no fault of the candidate if the stable release meets the same row the same way. */
  readonly unlessStableFails?: true;
}

/** A guardrail that is judged by evidence, and so can be wrong by chance. */
export type StatisticalGuardrail<Id extends string = string> = RateGuardrail<Id> | QuantileGuardrail<Id> | ComparedGuardrail<Id>;
export type Guardrail<Id extends string = string> = StatisticalGuardrail<Id> | NeverGuardrail<Id>;

/**
 * How a request ends that the service should have answered. What a caller can bring about alone (400 to 429, cancelled) is
 * neither a breach nor a trial: it could hide errors as well as make them up.
 */
const FAULTS = ["internal", "data_loss", "unimplemented", "unavailable", "deadline_exceeded"];
const SERVED = ["ok", ...FAULTS];
const STREAMS = ["search_stream", "rerank_stream"];
/** `disabled` is the caller's wish. */
const SKIPS = ["timeout", "open", "overloaded", "error"];

const requests = (labels?: Selector["labels"]): Selector => ({ metric: "memseal_requests_total", ...(labels && { labels }) });
const requestSeconds = (method: string[]): Selector => ({ metric: "memseal_request_duration_seconds", labels: { method } });

/**
 * What a release must keep: the one definition that the judge, the alert rules, the analysis and the dashboards share.
 * Latencies count every answer, so an error that comes quickly counts as quick: `errors` is what sees it.
 */
export const GUARDRAILS = [
  {
    id: "errors",
    title: "requests that end in a fault of the service",
    kind: "rate",
    limit: 0.01,
    trials: [requests({ code: SERVED })],
    breaches: [requests({ code: FAULTS })],
  },
  { id: "query_latency", title: "searches, arrival to answer", kind: "quantile", quantile: 0.95, limit: 0.4, unit: "seconds", histogram: requestSeconds(["search"]) },
  { id: "write_latency", title: "writes, arrival to answer", kind: "quantile", quantile: 0.95, limit: 0.75, unit: "seconds", histogram: requestSeconds(["add", "update"]) },
  {
    id: "indexer_search_latency",
    title: "searches within the indexer",
    kind: "quantile",
    quantile: 0.95,
    limit: 0.2,
    unit: "seconds",
    histogram: { metric: "memseal_call_duration_seconds", labels: { method: ["memseal.indexer.v1.IndexerService/Search"] } },
  },
  {
    id: "time_to_first_value",
    title: "streamed searches, arrival to the first results",
    kind: "quantile",
    quantile: 0.95,
    limit: 1.5,
    unit: "seconds",
    histogram: { metric: "memseal_time_to_first_value_seconds", labels: { method: ["search_stream"] } },
  },
  {
    id: "stream_success",
    title: "streams that end in a fault of the service",
    kind: "rate",
    limit: 0.004,
    trials: [requests({ method: STREAMS, code: SERVED })],
    breaches: [requests({ method: STREAMS, code: FAULTS })],
  },
  {
    id: "rerank_skips",
    title: "searches that were to be reranked and were not",
    kind: "rate",
    limit: 0.01,
    orAsStable: true,
    trials: [{ metric: "memseal_reranked_total" }, { metric: "memseal_rerank_skipped_total", labels: { reason: SKIPS } }],
    breaches: [{ metric: "memseal_rerank_skipped_total", labels: { reason: SKIPS } }],
  },
  // Counted at each checkout, as a request meets it: a gauge read at each scrape misses what happens between two.
  {
    id: "database_pool",
    title: "database connections in use, at each checkout",
    kind: "quantile",
    quantile: 0.95,
    limit: 0.8,
    unit: "ratio",
    histogram: { metric: "memseal_database_pool_use_ratio" },
  },
  { id: "cross_tenant_reached", title: "rows of another tenant that came back", kind: "never", events: [{ metric: "memseal_cross_tenant_reached_total" }] },
  { id: "integrity_failures", title: "sealed rows that do not open", kind: "never", unlessStableFails: true, events: [{ metric: "memseal_integrity_failures_total" }] },
  {
    id: "cross_tenant_refused",
    title: "attempts across tenants that a wall refused",
    kind: "compared",
    negligible: 0.01,
    trials: [requests()],
    breaches: [{ metric: "memseal_cross_tenant_refused_total" }],
  },
] as const satisfies readonly Guardrail[];

export type GuardrailId = (typeof GUARDRAILS)[number]["id"];

/** The largest share of breaches a guardrail allows; of what is compared, the share that needs no comparison. */
export function allowedShare(guardrail: StatisticalGuardrail): number {
  switch (guardrail.kind) {
    case "rate":
      return guardrail.limit;
    case "quantile":
      return 1 - guardrail.quantile;
    case "compared":
      return guardrail.negligible;
  }
}

/** Series of a guardrail, and what one more of them adds to its trials and to its breaches. */
export interface Part {
  readonly selector: Selector;
  readonly trials: 0 | 1;
  readonly breaches: -1 | 0 | 1;
}

/** How the trials and the breaches of a guardrail are counted. */
export function partsOf(guardrail: Guardrail): Part[] {
  switch (guardrail.kind) {
    case "rate":
    case "compared":
      return [
        ...guardrail.trials.map((selector) => ({ selector, trials: 1, breaches: 0 }) as const),
        ...guardrail.breaches.map((selector) => ({ selector, trials: 0, breaches: 1 }) as const),
      ];
    case "quantile": {
      const { limit, histogram: { metric, labels } } = guardrail;
      return [
        { selector: { metric: `${metric}_count`, ...(labels && { labels }) }, trials: 1, breaches: 1 },
        // As prom-client writes it, and Prometheus before 3.0 keeps it; an edge that is a whole number is written in two ways.
        { selector: { metric: `${metric}_bucket`, labels: { ...labels, le: [String(limit)] } }, trials: 0, breaches: -1 },
      ];
    }
    case "never":
      return guardrail.events.map((selector) => ({ selector, trials: 0, breaches: 1 }));
  }
}

/** Every series a guardrail needs: where one is missing, it cannot be judged. */
export function seriesOf(guardrail: Guardrail): Selector[] {
  return partsOf(guardrail).map(({ selector }) => selector);
}
