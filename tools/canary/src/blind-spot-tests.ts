import type { NeverGuardrail, QuantileGuardrail, RateGuardrail } from "@memseal/guardrails";
import { guardrails, statistical } from "./evidence.js";
import type { Case } from "./rules-test.js";
import { alertName, RECORDS } from "./rules.js";
import { SERVICES } from "./services.js";
import { always, exampleOf, jump, onlySince, until, World, type Process, type Series } from "./world.js";

const quiet = World.quiet();
const latency = guardrails.find((one): one is QuantileGuardrail => one.id === "query_latency") ?? missing("query_latency");
const errors = guardrails.find((one): one is RateGuardrail => one.id === "errors") ?? missing("errors");
const gateway: Process = { service: "gateway", track: "canary" };
const labelsOf = (process: Process) => exampleOf({ metric: "up" }, process).labels;

function missing(guardrail: string): never {
  throw new Error(`there is no guardrail ${guardrail}`);
}

/** What goes wrong while every limit seems to be kept. */
export function blindSpotTests(): Case[] {
  return [...diluted(), ...firstEvents(), ...restarted(), ...causedByCallers(), ...silentProcesses(), ...notJudged()];
}

const fired = (id: string) => [{ guardrail: id, track: "canary" }];

/** The bad part of a whole that is mostly good. */
function diluted(): Case[] {
  const { metric, labels } = latency.histogram;
  const all = [gateway, { ...gateway, track: "stable" } as const].map((process): Series => ({ ...exampleOf({ metric: `${metric}_bucket`, labels: { ...labels, le: ["+Inf"] } }, process), values: jump(process.track === "canary" ? 1_000 : 19_000) }));
  return [
    {
      name: "all of a 5% candidate is slow, which the p95 of both does not show",
      world: quiet.counting(latency, "stable", { trials: 19_000, breaches: 0 }).counting(latency, "canary", { trials: 1_000, breaches: 1_000 }).with(...all),
      alert: alertName(latency),
      fires: fired(latency.id),
      naive: [`histogram_quantile(${latency.quantile}, sum by (le) (rate(${metric}_bucket{method="search"}[5m]))) <= bool ${latency.limit}`],
    },
    {
      name: "what has just begun is not outweighed by a long good past, as in a ratio since the start it is",
      world: quiet.counting(errors, "canary", { trials: 200, breaches: 200 }, 10_000_000),
      alert: alertName(errors),
      fires: fired(errors.id),
      naive: [`sum(memseal_requests_total{track="canary",code="internal"}) / sum(memseal_requests_total{track="canary"}) < bool ${errors.limit}`],
    },
  ];
}

/** A counter that was not there before its first event. */
function firstEvents(): Case[] {
  const never = guardrails.find((one): one is NeverGuardrail => one.id === "cross_tenant_reached") ?? missing("cross_tenant_reached");
  const [reached] = never.events;
  const bad = exampleOf(errors.breaches[0], gateway);
  return [
    {
      name: "an event that comes with the first sample of its series is seen, as no increase sees it",
      world: quiet.with({ ...exampleOf(reached, gateway), values: onlySince(1) }),
      alert: alertName(never),
      fires: fired(never.id),
      naive: [`sum(increase(${reached.metric}{track="canary"}[5m])) == bool 0`],
    },
    { name: "errors that come with the first sample of their series count", world: quiet.with({ ...bad, values: onlySince(30) }), alert: alertName(errors), fires: fired(errors.id) },
    {
      name: "the stable release's past is no event of now",
      world: quiet.with({ ...bad, labels: { ...bad.labels, ...labelsOf({ service: "gateway", track: "stable" }) }, values: onlySince(1_000_000) }),
      alert: alertName(errors),
      fires: [],
      naive: [`sum(${RECORDS.breaches}{guardrail="errors",track="stable"}) == bool 0`],
    },
  ];
}

/** Counters that begin again. */
function restarted(): Case[] {
  const [good, bad] = [errors.trials[0], errors.breaches[0]].map((selector) => exampleOf(selector, gateway));
  const again = (before: number, after: number): Series["values"] => jump(after - before, before);
  return [
    {
      name: "errors after a restart count, though the counter is lower than before it",
      world: quiet.with({ ...good, values: again(10_000, 0) }, { ...bad, values: again(90, 30) }),
      alert: alertName(errors),
      fires: fired(errors.id),
    },
    { name: "a restart is no error", world: quiet.with({ ...good, values: again(10_000, 500) }, { ...bad, values: again(90, 0) }), alert: alertName(errors), fires: [] },
  ];
}

function causedByCallers(): Case[] {
  const refused = ["invalid_argument", "unauthenticated", "permission_denied", "not_found", "resource_exhausted", "cancelled"];
  return [{
    name: "what callers bring about alone is no error of the candidate",
    world: quiet.with(...refused.map((code): Series => ({ ...exampleOf({ metric: "memseal_requests_total", labels: { code: [code] } }, gateway), values: jump(10_000) }))),
    alert: alertName(errors),
    fires: [],
  }];
}

/** Processes that say nothing: what is missing compares as good. */
function silentProcesses(): Case[] {
  const up = { metric: "up" };
  const start = { metric: "process_start_time_seconds" };
  const reranker: Process = { service: "reranker", track: "canary" };
  const indexers: Process[] = [{ service: "indexer", track: "canary" }, { service: "indexer", track: "canary", instance: "second" }];
  const [, second] = indexers;
  const stopped = (process: Process) => quiet.changed(process, (one) => ({ ...one, values: one.metric === "up" ? jump(-1, 1) : until(0, "stale") }));
  const release = quiet.withProcess(second);
  return [
    { name: "a process that was stopped", world: stopped(reranker), alert: "MemsealCanaryDown", fires: [labelsOf(reranker)] },
    { name: "a process that was never there", world: stopped(reranker).with({ ...up, labels: labelsOf(reranker), values: always(0) }), alert: "MemsealCanaryDown", fires: [labelsOf(reranker)] },
    { name: "one failed scrape is no outage", world: stopped(reranker), alert: "MemsealCanaryDown", fires: [], after: 1 },
    { name: "all are up", world: quiet, alert: "MemsealCanaryDown", fires: [] },
    {
      name: "one process of two falls silent, and the other's series hide it from every sum",
      world: release.changed(second, (one) => ({ ...one, values: one.metric === "up" ? jump(-1, 1) : until(0, "stale") })),
      alert: "MemsealIntegrityFailuresAbsent",
      fires: [labelsOf(second)],
    },
    {
      name: "the candidate's gateway is no target any more",
      world: quiet.changed(gateway, (one) => ({ ...one, values: until(one.metric === "up" ? 1 : 0, "stale") })),
      alert: "MemsealCanaryVanished",
      fires: [{ job: labelsOf(gateway).job }],
    },
    {
      name: "one process of two is taken away",
      world: release.changed(second, (one) => ({ ...one, values: until(one.metric === "up" ? 1 : 0, "stale") })),
      alert: "MemsealCanaryVanished",
      fires: [],
    },
    { name: "there never was a release", world: quiet.without(up, { track: "canary" }), alert: "MemsealCanaryVanished", fires: [] },
    { name: "a process that answers without a metric", world: quiet.without(start, reranker), alert: "MemsealTrackSilent", fires: [labelsOf(reranker)] },
    {
      name: "a process of the candidate says that it is stable",
      world: quiet.without(start, reranker).with({ ...start, labels: { ...labelsOf(reranker), track: "stable" }, values: always(1) }),
      alert: "MemsealTrackSilent",
      fires: [labelsOf(reranker)],
    },
    { name: "each says what it is", world: quiet, alert: "MemsealTrackSilent", fires: [] },
    {
      name: "scrapes that stopped without a word",
      world: quiet.changed({ track: "canary" }, (one) => ({ ...one, values: until(one.metric === "up" ? 1 : 0, null) })),
      alert: "MemsealScrapesStale",
      fires: SERVICES.map((service) => labelsOf({ service, track: "canary" })),
      // The last sample has to grow old first.
      after: 9,
    },
    { name: "scrapes on time", world: quiet, alert: "MemsealScrapesStale", fires: [] },
    ...statistical.map((guardrail): Case => ({ name: "no release, nothing to miss", world: quiet.changed({ track: "canary" }, (one) => ({ ...one, values: always(0).map(() => null) })), alert: `${alertName(guardrail)}Absent`, fires: [] })),
  ];
}

/** Nobody would learn of it. */
function notJudged(): Case[] {
  const stray = { job: "memseal-gateway", instance: "stray", track: "cannary" };
  const busy = quiet.counting(errors, "canary", { trials: 20, breaches: 0 });
  // Its trials are all requests, too.
  const idle = statistical.filter(({ id }) => id !== errors.id && id !== "cross_tenant_refused").flatMap(({ id }) => fired(id));
  return [
    { name: "a target of a track that is none", world: quiet.with({ metric: "up", labels: stray, values: always(1) }), alert: "MemsealTargetWithoutTrack", fires: [stray] },
    { name: "every target has a track", world: quiet, alert: "MemsealTargetWithoutTrack", fires: [] },
    { name: "no requests are no evidence, and no breach either", world: busy, alert: "MemsealCanaryIdle", fires: idle },
    { name: "always fires", world: quiet, alert: "MemsealWatchdog", fires: [{}] },
  ];
}
