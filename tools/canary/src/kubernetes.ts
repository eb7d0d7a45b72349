import type { Guardrail, StatisticalGuardrail } from "@memseal/guardrails";
import { duration, staleAfterS, type Cadence } from "./cadence.js";
import { guardrails, isCompared, isLimited, NEEDED_TO_PROMOTE, neededToRollBack, statistical } from "./evidence.js";
import { series } from "./promql.js";
import { RECORDS, ruleGroups } from "./rules.js";

/** For the Prometheus operator: the same rules. */
export function prometheusRule(cadence: Cadence): object {
  return {
    apiVersion: "monitoring.coreos.com/v1",
    kind: "PrometheusRule",
    metadata: { name: "memseal-guardrails", labels: { "app.kubernetes.io/part-of": "memseal" } },
    spec: { groups: ruleGroups(cadence) },
  };
}

const CANARY = 'track="canary"';

/** For Argo Rollouts: what runs beside every step and ends the release, and what a step must show before the next. */
export function analysisTemplates(cadence: Cadence): object[] {
  return [
    template("memseal-guardrails", [...guardrails.map((guardrail) => watching(guardrail, cadence)), rollbackAlerts(cadence)]),
    template("memseal-step", statistical.map(proving)),
  ];
}

function template(name: string, metrics: readonly object[]): object {
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AnalysisTemplate",
    metadata: { name, labels: { "app.kubernetes.io/part-of": "memseal" } },
    spec: { args: [{ name: "prometheus", value: "http://prometheus-operated.monitoring.svc:9090" }], metrics },
  };
}

const prometheus = (query: string) => ({ prometheus: { address: "{{args.prometheus}}", query } });

/**
 * Without a count it runs as long as the release; one failure, or four questions without an answer, ends it. What is absent
 * fails, once it has had as long as it may be silent.
 */
function watch(name: string, query: string, isBreach: string, cadence: Cadence): object {
  return {
    name,
    initialDelay: duration(staleAfterS(cadence)),
    interval: duration(cadence.scrapeS),
    provider: prometheus(query),
    successCondition: `len(result) == 1 && !(${isBreach})`,
    failureCondition: `len(result) != 1 || ${isBreach}`,
    failureLimit: 0,
    consecutiveErrorLimit: 4,
  };
}

function watching(guardrail: Guardrail, cadence: Cadence): object {
  const isBreach = guardrail.kind === "never" ? "result[0] > 0" : `result[0] >= ${neededToRollBack(cadence).toFixed(3)}`;
  return watch(argoName(guardrail), watchedOf(guardrail), isBreach, cadence);
}

function argoName({ id }: Guardrail): string {
  return id.replaceAll("_", "-");
}

function watchedOf(guardrail: Guardrail): string {
  if (guardrail.kind === "never") return `sum(${guardrail.events.map((selector) => series(selector, CANARY)).join(" or ")})`;
  const of = (record: string) => series({ metric: record, labels: { guardrail: [guardrail.id] } }, CANARY);
  if (!isCompared(guardrail)) return of(RECORDS.overLimit);
  if (!isLimited(guardrail)) return of(RECORDS.worseThanStable);
  // The smaller of both, as long as there are both.
  const [limit, stable] = [of(RECORDS.overLimit), of(RECORDS.worseThanStable)];
  return `${limit} <= ${stable} or ${stable} < ${limit}`;
}

/** Blind spots above all: that a process of several is silent shows in no sum. */
function rollbackAlerts(cadence: Cadence): object {
  const firing = (matcher: string) => `count(ALERTS{alertstate="firing",${matcher}})`;
  return watch("rollback-alerts", `${firing('memseal_action="rollback"')} or 0 * ${firing('alertname="MemsealWatchdog"')}`, "result[0] > 0", cadence);
}

/** One look at the end of a step: enough evidence goes on, too little is inconclusive and waits for a person; it is never a pass. */
function proving(guardrail: StatisticalGuardrail): object {
  return {
    name: argoName(guardrail),
    count: 1,
    provider: prometheus(series({ metric: RECORDS.withinTwice, labels: { guardrail: [guardrail.id] } }, CANARY)),
    successCondition: `len(result) == 1 && result[0] >= ${NEEDED_TO_PROMOTE.toFixed(3)}`,
    failureCondition: "len(result) != 1",
    failureLimit: 0,
    inconclusiveLimit: 0,
    consecutiveErrorLimit: 4,
  };
}
