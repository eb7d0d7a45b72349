import { allowedShare, type Guardrail } from "@memseal/guardrails";
import { guardrails } from "../evidence.js";
import type { LoadRow } from "../load/load-row.js";
import type { LoadSummary } from "../load/load-summary.js";
import type { HeardAlert } from "../runner/alert-webhook.js";
import type { Decision } from "../runner/decision.js";
import type { ReleasePlan } from "../runner/release-plan.js";
import { TRACKS } from "../world.js";
import { alertsIn, TRACK_NAMES } from "./charts.js";
import type { Html } from "./html.js";
import { rounded, table, type Cell } from "./table.js";
import type { Timeline } from "./timeline.js";

/** What the judge counted, from the services' own counters. */
export function countedTable({ counted }: Decision): Html {
  return table({
    caption: "Counted for each guardrail",
    head: ["guardrail", "what is watched", "allowed", ...TRACKS.flatMap((track) => ["breaches", "trials"].map((what) => `${TRACK_NAMES[track]}, ${what}`))],
    rows: counted.map((one) => {
      const guardrail = guardrails.find(({ id }) => id === one.guardrail);
      // Of what must never happen nobody counts the trials.
      const trials = (count: number) => (guardrail?.kind === "never" ? null : count);
      return [one.guardrail, guardrail?.title ?? null, guardrail === undefined ? null : allowed(guardrail), ...TRACKS.flatMap((track): Cell[] => [one[track].breaches, trials(one[track].trials)])];
    }),
  });
}

function allowed(guardrail: Guardrail): string {
  switch (guardrail.kind) {
    case "rate":
      return `${percent(allowedShare(guardrail))}${guardrail.orAsStable === true ? ", or as stable" : ""}`;
    case "quantile":
      return `${percent(allowedShare(guardrail))} above ${guardrail.limit}${guardrail.unit === "seconds" ? "\u{a0}s" : ""}`;
    case "compared":
      return "as stable";
    case "never":
      return "none";
  }
}

const percent = (share: number) => `${rounded(100 * share, 6)}%`;

export function stepsTable({ steps, ended_at }: Decision, plan: ReleasePlan, timeline: Timeline): Html {
  return table({
    caption: "Steps",
    head: ["share", "from", "watched, in s", "of the plan, in s", "planned, in s"],
    rows: steps.map(({ percent: share, at }, i) => {
      const seconds = timeline.secondsAt(steps[i + 1]?.at ?? ended_at) - timeline.secondsAt(at);
      return [`${share}%`, at, rounded(seconds, 1), rounded(seconds * plan.time_scale, 0), plan.steps.find((step) => step.percent === share)?.window_s ?? null];
    }),
  });
}

export function requestsTable({ tracks, without_track }: LoadSummary): Html {
  return table({
    caption: "Requests of the runner's own load, by who answered",
    head: ["track", "requests", "failed", "reranked", "to be reranked and not"],
    rows: [
      ...TRACKS.map((track): [Cell, ...Cell[]] => [TRACK_NAMES[track], tracks[track].requests, tracks[track].failures, tracks[track].reranked, tracks[track].rerank_skipped]),
      ["nobody, or one who does not say", without_track, without_track, null, null],
    ],
  });
}

export function latencyTable({ tracks }: LoadSummary): Html {
  return table({
    caption: "Latency over the whole release, in ms",
    head: ["kind", "track", "requests", "failed", "p50", "p95", "p99"],
    rows: TRACKS.flatMap((track) => Object.entries(tracks[track].by_kind).map(([kind, { requests, failures, p50_ms, p95_ms, p99_ms }]): [Cell, ...Cell[]] =>
      [kind, TRACK_NAMES[track], requests, failures, ...[p50_ms, p95_ms, p99_ms].map((ms) => (ms === null ? null : rounded(ms, 1)))])).sort(([a], [b]) => (String(a) < String(b) ? -1 : a === b ? 0 : 1)),
  });
}

/** Of what named no track. */
export function splitTable({ split }: LoadSummary): Html {
  return table({
    caption: "Requests that named no track: who answered, over all steps",
    head: ["of", "all", "candidate", "candidate, in percent"],
    rows: [
      ["requests", split.requests, split.canary_requests, split.canary_requests_percent],
      ["credentials, each where it was last", split.credentials, split.canary_credentials, split.canary_credentials_percent],
    ],
  });
}

export function failuresTable(rows: readonly LoadRow[]): Html {
  const counts = new Map<string, number>();
  for (const { track, kind, error } of rows) {
    if (error === null) continue;
    const key = JSON.stringify([error, kind, track === null ? "nobody" : TRACK_NAMES[track]]);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return table({
    caption: "Failures of the runner's own load",
    head: ["code", "kind", "track", "requests"],
    rows: [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, count]): [Cell, ...Cell[]] => [...(JSON.parse(key) as [string, string, string]), count]),
  });
}

export function alertsTable(heard: readonly HeardAlert[]): Html {
  return table({
    caption: "Alerts that were heard",
    head: ["alert", "asks for", "times", "first", "last"],
    rows: alertsIn(heard).map(({ name, asksFor, at }) => [name, asksFor, at.length, at[0], at.at(-1) ?? null]),
  });
}
