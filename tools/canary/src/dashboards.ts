import { partsOf, type Guardrail, type StatisticalGuardrail } from "@memseal/guardrails";
import { PRODUCTION } from "./cadence.js";
import { guardrails, isCompared, isLimited, NEEDED_TO_PROMOTE, neededToRollBack } from "./evidence.js";
import { series } from "./promql.js";
import { RECORDS } from "./rules.js";

/** A dashboard of Grafana's, as it imports it. */
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly [key: string]: unknown;
}

export interface Panel {
  readonly id: number;
  readonly title: string;
  readonly targets: readonly { readonly expr: string }[];
  readonly [key: string]: unknown;
}

/** Of Grafana's units. */
type Unit = "short" | "s" | "percentunit" | "bytes" | "reqps";

interface Chart {
  readonly title: string;
  readonly unit: Unit;
  /** Legend by query; labels as {{label}}. */
  readonly queries: Readonly<Record<string, string>>;
  /** A line that is not to be crossed. */
  readonly limit?: number;
}

export function dashboards(): Dashboard[] {
  return [
    dashboard("memseal-release", "Memseal: a release", [...overview(), ...guardrails.flatMap(chartsOf)]),
    dashboard("memseal-services", "Memseal: services", services()),
  ];
}

function overview(): Chart[] {
  return [
    { title: "Processes that are scraped", unit: "short", queries: { "{{job}} {{track}}": 'sum by (job, track) (up{job=~"memseal-.+"})' } },
    { title: "Alerts that act on the release", unit: "short", queries: { "{{alertname}} {{alertstate}}": 'count by (alertname, alertstate) (ALERTS{memseal_action=~"rollback|hold|heartbeat"})' } },
  ];
}

function chartsOf(guardrail: Guardrail): Chart[] {
  if (guardrail.kind === "never") {
    return [{ title: `${guardrail.id}: ${guardrail.title}`, unit: "short", queries: { "{{track}}": partsOf(guardrail).map(({ selector }) => `sum by (track) (${series(selector)})`).join(" + ") }, limit: 1 }];
  }
  return [shareOf(guardrail), evidenceOf(guardrail)];
}

const ofGuardrail = (record: string, { id }: Guardrail, ...more: string[]) => series({ metric: record, labels: { guardrail: [id] } }, ...more);

function shareOf(guardrail: StatisticalGuardrail): Chart {
  return {
    title: `${guardrail.id}: ${guardrail.title}, share of breaches`,
    unit: "percentunit",
    queries: { "{{track}}": ofGuardrail(RECORDS.ratio, guardrail), ...(isLimited(guardrail) ? { allowed: ofGuardrail(RECORDS.allowed, guardrail) } : {}) },
  };
}

function evidenceOf(guardrail: StatisticalGuardrail): Chart {
  const canary = (record: string) => ofGuardrail(record, guardrail, 'track="canary"');
  return {
    title: `${guardrail.id}: evidence (rollback at the line, promotion at ${NEEDED_TO_PROMOTE.toFixed(1)})`,
    unit: "short",
    queries: {
      ...(isLimited(guardrail) ? { "over its limit": canary(RECORDS.overLimit) } : {}),
      ...(isCompared(guardrail) ? { "worse than stable": canary(RECORDS.worseThanStable) } : {}),
      "within twice what is allowed": canary(RECORDS.withinTwice),
    },
    limit: neededToRollBack(PRODUCTION),
  };
}

const rate = (metric: string, by: string) => `sum by (${by}) (rate(${metric}[$__rate_interval]))`;
const p95 = (metric: string, by: string) => `histogram_quantile(0.95, ${rate(`${metric}_bucket`, `le, ${by}`)})`;

function services(): Chart[] {
  const perSecond = (title: string, metric: string, by: string): Chart => ({ title, unit: "reqps", queries: { [legend(by)]: rate(metric, by) } });
  const quantile = (title: string, metric: string, by: string, unit: Unit = "s"): Chart => ({ title, unit, queries: { [legend(by)]: p95(metric, by) } });
  const value = (title: string, metric: string, by: string, unit: Unit = "short"): Chart => ({ title, unit, queries: { [legend(by)]: `sum by (${by}) (${metric})` } });
  return [
    perSecond("Requests", "memseal_requests_total", "code, track"),
    quantile("Requests, p95", "memseal_request_duration_seconds", "method, track"),
    quantile("Streams, p95 to the first event", "memseal_time_to_first_value_seconds", "method, track"),
    quantile("Steps of searches, p95", "memseal_search_stage_duration_seconds", "stage, track"),
    perSecond("Reranked", "memseal_reranked_total", "track"),
    perSecond("Reranked by fewer candidates", "memseal_rerank_shortened_total", "track"),
    perSecond("Rerank skipped", "memseal_rerank_skipped_total", "reason, track"),
    perSecond("Answered by words alone", "memseal_dense_skipped_total", "reason, track"),
    value("Breakers that are not closed", 'memseal_breaker_state{state!="closed"}', "breaker, state, track"),
    value("Flags that are on", "memseal_flag_state", "flag, track"),
    perSecond("Calls between services", "memseal_calls_total", "method, code, track"),
    quantile("Calls between services, p95", "memseal_call_duration_seconds", "method, track"),
    quantile("Database connections in use, p95", "memseal_database_pool_use_ratio", "track", "percentunit"),
    perSecond("Calls that waited for a database connection", "memseal_database_waits_total", "outcome, track"),
    value("Tenant indexes in memory", "memseal_index_bytes", "track", "bytes"),
    perSecond("Tenant indexes brought up to date", "memseal_index_refreshes_total", "how, track"),
    perSecond("Rows past their time taken away", "memseal_maintenance_removed_total", "kind, track"),
    perSecond("API keys refused for their row", "memseal_api_keys_refused_total", "reason, track"),
    perSecond("Attempts across tenants refused", "memseal_cross_tenant_refused_total", "where, track"),
    value("Models", "memseal_model_info", "model, provider, track"),
    perSecond("Calls to models", "te_request_count", "service, method, track"),
    perSecond("Calls that models answered", "te_request_success", "service, method, track"),
    perSecond("Calls that models did not answer", "te_request_failure", "service, err, track"),
    quantile("Models, p95", "te_request_duration", "service, track"),
    quantile("Models, tokenising, p95", "te_request_tokenization_duration", "service, track"),
    quantile("Models, queue, p95", "te_request_queue_duration", "service, track"),
    quantile("Models, inference, p95", "te_request_inference_duration", "service, track"),
    value("Waiting for models", "te_queue_size", "service, track"),
    quantile("Texts or pairs of a run, p95", "te_batch_next_size", "service, track", "short"),
    quantile("Tokens of a run, p95", "te_batch_next_tokens", "service, track", "short"),
    value("Memory", "process_resident_memory_bytes", "job, track", "bytes"),
    { title: "CPU cores", unit: "short", queries: { "{{job}} {{track}}": rate("process_cpu_seconds_total", "job, track") } },
  ];
}

/** `code, track`: `{{code}} {{track}}`. */
function legend(by: string): string {
  return by.split(", ").map((label) => `{{${label}}}`).join(" ");
}

const DATASOURCE = { type: "prometheus", uid: "${datasource}" };
/** Of Grafana's 24 columns. */
const WIDTH = 12;
const HEIGHT = 8;

function dashboard(uid: string, title: string, charts: readonly Chart[]): Dashboard {
  return {
    uid,
    title,
    description: "Generated from libs/guardrails by `npm run canary -- generate`.",
    tags: ["memseal"],
    schemaVersion: 38,
    version: 1,
    editable: false,
    refresh: "15s",
    time: { from: "now-1h", to: "now" },
    templating: { list: [{ name: "datasource", label: "Prometheus", type: "datasource", query: "prometheus" }] },
    panels: charts.map(panel),
  };
}

function panel({ title, unit, queries, limit }: Chart, i: number): Panel {
  const perRow = 24 / WIDTH;
  return {
    id: i + 1,
    type: "timeseries",
    title,
    datasource: DATASOURCE,
    gridPos: { x: (i % perRow) * WIDTH, y: Math.floor(i / perRow) * HEIGHT, w: WIDTH, h: HEIGHT },
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(limit === undefined ? {} : {
          custom: { thresholdsStyle: { mode: "line" } },
          thresholds: { mode: "absolute", steps: [{ color: "green", value: null }, { color: "red", value: Number(limit.toFixed(3)) }] },
        }),
      },
      overrides: [],
    },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } },
    targets: Object.entries(queries).map(([legendFormat, expr], j) => ({ refId: String.fromCharCode(65 + j), datasource: DATASOURCE, expr, legendFormat })),
  };
}
