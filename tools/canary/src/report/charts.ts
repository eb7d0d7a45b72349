import type { Evidence, GuardrailId } from "@memseal/guardrails";
import { guardrails } from "../evidence.js";
import { LOAD_KINDS, type LoadKind } from "../load/load-row.js";
import type { HeardAlert } from "../runner/alert-webhook.js";
import type { Decision } from "../runner/decision.js";
import { TRACKS, type Track } from "../world.js";
import { clock, latencyAxis, linearAxis, timeAxis } from "./axis.js";
import { html, type Html } from "./html.js";
import type { LookPoint } from "./look-point.js";
import { plot, SIGNS, type Point, type Series } from "./plot.js";
import { numbers, rounded, type Cell } from "./table.js";
import type { Slice, Timeline } from "./timeline.js";

/** As people call it. */
export const TRACK_NAMES: Readonly<Record<Track, string>> = { canary: "candidate", stable: "stable" };

const [TICKS_WIDE, TICKS_SMALL] = [12, 5];
/** From this on, no digit says anything. */
const DIGITS = 2;

/** An alert with every time at which it was heard. */
export interface AlertHeard {
  readonly name: string;
  readonly asksFor: string;
  readonly at: readonly [string, ...string[]];
}

/** In the order in which they were first heard. */
export function alertsIn(heard: readonly HeardAlert[]): AlertHeard[] {
  const alerts = new Map<string, { name: string; asksFor: string; at: [string, ...string[]] }>();
  for (const { name, action, received_at } of heard) {
    const key = `${action} ${name}`;
    const alert = alerts.get(key);
    if (alert === undefined) alerts.set(key, { name, asksFor: action, at: [received_at] });
    else alert.at.push(received_at);
  }
  return [...alerts.values()];
}

/** What the load balancer gave the candidate, and what happened meanwhile. */
export function shareChart({ steps, outcome, ended_at }: Decision, alerts: readonly AlertHeard[], timeline: Timeline): Html {
  const endS = timeline.secondsAt(ended_at);
  const left = outcome === "promoted" ? (steps.at(-1)?.percent ?? 0) : 0;
  const shares = [...steps.map(({ percent, at }) => ({ x: timeline.secondsAt(at), y: percent })), { x: endS, y: left }, { x: Infinity, y: left }];
  const given = steps.map(({ percent, at }) => `${percent}% from ${clock(timeline.secondsAt(at))}`).join(", ");
  const said = alerts.map(({ name, asksFor, at }, i) => `${i + 1} ${name} (${asksFor}, first at ${clock(timeline.secondsAt(at[0]))})`);
  return html`${plot({
    id: "share",
    title: "Candidate's share of the traffic",
    description: `${given === "" ? "No share was given" : given}; ${outcome.replace("_", " ")} at ${clock(endS)}. Alerts: ${said.length === 0 ? "none" : said.join(", ")}.`,
    size: "wide",
    x: timeAxis(timeline.durationS, TICKS_WIDE),
    y: linearAxis(100, "%"),
    series: [{ className: "canary", points: shares.flatMap(({ x, y }, i): Point[] => [{ x, y: shares[i - 1]?.y ?? 0 }, { x, y }]) }],
    events: [
      ...alerts.map(({ asksFor, at }, i) => ({ x: timeline.secondsAt(at[0]), label: String(i + 1), className: asksFor })),
      { x: endS, label: "end", className: "end-of-release" },
    ],
  })}<p class="key">${said.length === 0 ? "No alert was heard but the one that always fires." : said.map((text) => html`<span class="swatch">${text}</span> `)}</p>`;
}

const FAILURE_SIGNS = { canary: "cross", stable: "plus", nobody: "ring" } as const;

/** Requests a second by who answered, and failures where there were any. */
export function requestsChart(slices: readonly Slice[], timeline: Timeline): Html {
  const rate = (count: number, { lengthS }: Slice) => rounded(count / lengthS, DIGITS);
  const requests = (track: Track) => slices.map((slice) => ({ x: middle(slice), y: rate(slice.summary.tracks[track].requests, slice) }));
  const failing = (failures: (slice: Slice) => number) => slices.map((slice) => ({ x: middle(slice), y: failures(slice) === 0 ? null : rate(failures(slice), slice) }));
  const series: Series[] = [
    ...[...TRACKS].reverse().map((track) => ({ className: track, points: requests(track) })),
    ...TRACKS.map((track) => ({ className: track, marker: FAILURE_SIGNS[track], points: failing(({ summary }) => summary.tracks[track].failures) })),
    { className: "nobody", marker: FAILURE_SIGNS.nobody, points: failing(({ summary }) => summary.without_track) },
  ];
  const total = (count: (slice: Slice) => number) => slices.reduce((sum, slice) => sum + count(slice), 0);
  return html`${plot({
    id: "requests",
    title: "Requests a second",
    description: `${TRACKS.map((track) => `${TRACK_NAMES[track]}: ${total(({ summary }) => summary.tracks[track].requests)} requests, ${total(({ summary }) => summary.tracks[track].failures)} of them failed`).join("; ")}; nobody answered: ${total(({ summary }) => summary.without_track)}.`,
    size: "wide",
    x: timeAxis(timeline.durationS, TICKS_WIDE),
    y: linearAxis(most(series)),
    series,
  })}<p class="key">${swatch("canary", "candidate")}${swatch("stable", "stable")}${swatch("canary", "candidate, failed", "cross")}${swatch("stable", "stable, failed", "plus")}${swatch("nobody", "nobody answered", "ring")}</p>
${numbers({
  caption: "requests a second",
  head: ["from", "candidate", "stable", "candidate, failed", "stable, failed", "nobody answered"],
  rows: slices.map((slice) => {
    const { tracks: { canary, stable }, without_track } = slice.summary;
    return [clock(slice.fromS), ...[canary.requests, stable.requests, canary.failures, stable.failures, without_track].map((count) => rate(count, slice))];
  }),
})}`;
}

/** What limits a kind; the services count it themselves. */
const LIMITED_BY: Readonly<Record<LoadKind, GuardrailId>> = { search: "query_latency", search_reranked: "query_latency", search_stream: "time_to_first_value", add: "write_latency", update: "write_latency" };

/** Until the whole answer was there, for each kind of request. */
export function latencyCharts(slices: readonly Slice[], timeline: Timeline): Html {
  return html`<div class="grid-of-plots">${LOAD_KINDS.map((kind) => latencyChart(kind, slices, timeline))}</div>
<p class="key">${swatch("canary", "candidate, p95")}${swatch("canary median", "candidate, p50")}${swatch("stable", "stable, p95")}${swatch("stable median", "stable, p50")}${swatch("limit", "limit of the guardrail")}</p>
${LOAD_KINDS.map((kind) => numbers({
  caption: `latency of ${kind}, in ms`,
  head: ["from", ...TRACKS.flatMap((track) => ["answers", "p50", "p95"].map((what) => `${TRACK_NAMES[track]}, ${what}`))],
  rows: slices.map(({ fromS, summary }) => [clock(fromS), ...TRACKS.flatMap((track): Cell[] => {
    const { requests, p50_ms, p95_ms } = summary.tracks[track].by_kind[kind];
    return [requests, inMs(p50_ms), inMs(p95_ms)];
  })]),
}))}`;
}

function latencyChart(kind: LoadKind, slices: readonly Slice[], timeline: Timeline): Html {
  const points = (track: Track, quantile: "p50_ms" | "p95_ms") => slices.map((slice) => ({ x: middle(slice), y: inMs(slice.summary.tracks[track].by_kind[kind][quantile]) }));
  const series: Series[] = (["stable", "canary"] as const).flatMap((track) => [{ className: `${track} median`, points: points(track, "p50_ms") }, { className: track, points: points(track, "p95_ms") }]);
  const limit = limitOf(kind);
  const highest = (track: Track) => points(track, "p95_ms").reduce<number | null>((high, { y }) => (y === null || (high !== null && high > y) ? high : y), null);
  return plot({
    id: `latency-${kind.replaceAll("_", "-")}`,
    title: kind,
    description: `Highest p95 of a part: ${TRACKS.map((track) => `${TRACK_NAMES[track]} ${highest(track) ?? "unknown"} ms`).join(", ")}; ${limit?.label ?? "no limit"}.`,
    size: "small",
    x: timeAxis(timeline.durationS, TICKS_SMALL),
    y: latencyAxis([...known(series), ...(limit === undefined ? [] : [limit.at])]),
    series,
    limit,
  });
}

function limitOf(kind: LoadKind): { at: number; label: string } | undefined {
  const guardrail = guardrails.find(({ id }) => id === LIMITED_BY[kind]);
  if (guardrail?.kind !== "quantile") return undefined;
  return { at: guardrail.limit * 1_000, label: `limit: p${guardrail.quantile * 100} of ${guardrail.id} ${guardrail.limit * 1_000} ms` };
}

/** For each guardrail how far it was from being shown, and from being broken. */
export function evidenceCharts(looks: readonly LookPoint[], timeline: Timeline): Html {
  const ids = [...new Set(looks.flatMap(({ evidence }) => evidence.map(({ guardrail }) => guardrail)))];
  if (ids.length === 0) return html`<p>No look saw any evidence.</p>`;
  return html`<div class="grid-of-plots">${ids.map((id, i) => evidenceChart(id, i, looks, timeline))}</div>
<p class="key">${swatch("missing", "still missing to promote, of the most that was missing")}${swatch("against", "evidence against, of what rolls back")}</p>
${numbers({
  caption: "missing trials at the last look of each part of the time",
  head: ["look at", "share", "verdict", ...ids],
  rows: thinned(looks, timeline).map(({ at, step_percent, verdict, evidence }) => [clock(timeline.secondsAt(at)), `${step_percent}%`, verdict, ...ids.map((id) => evidence.find(({ guardrail }) => guardrail === id)?.missing ?? null)]),
})}
${numbers({
  caption: "evidence against, a natural logarithm, at the last look of each part of the time",
  head: ["look at", ...ids],
  rows: thinned(looks, timeline).map(({ at, evidence }) => [clock(timeline.secondsAt(at)), ...ids.map((id) => decimals(evidence.find(({ guardrail }) => guardrail === id)?.against))]),
})}`;
}

function evidenceChart(id: string, i: number, looks: readonly LookPoint[], timeline: Timeline): Html {
  const seen = looks.map(({ at, evidence }) => ({ x: timeline.secondsAt(at), point: evidence.find(({ guardrail }) => guardrail === id) }));
  const mostMissing = seen.reduce((high, { point }) => Math.max(high, point?.missing ?? 0), 0);
  const line = (share: (point: Evidence) => number): Point[] => seen.map(({ x, point }) => ({ x, y: point === undefined ? null : 100 * share(point) }));
  const last = seen.findLast(({ point }) => point !== undefined)?.point;
  const highest = seen.reduce((high, { point }) => Math.max(high, point?.against ?? 0), 0);
  const said = last === undefined ? "never seen" : `missing ${last.missing} of ${mostMissing} trials; evidence against at most ${rounded(highest, 1)} of ${rounded(last.needed, 1)}`;
  return html`<div>${plot({
    id: `evidence-${i + 1}`,
    title: id,
    description: `At the last look: ${said}.`,
    size: "small",
    x: timeAxis(timeline.durationS, TICKS_SMALL),
    y: linearAxis(100, "%"),
    series: [
      { className: "missing", points: line(({ missing }) => (mostMissing === 0 ? 0 : missing / mostMissing)) },
      { className: "against", points: line(({ against, needed }) => Math.max(0, against / needed)) },
    ],
  })}<p class="under">${said}</p></div>`;
}

/** Of each sixtieth of the time the last look, so that a table can be read. */
function thinned(looks: readonly LookPoint[], timeline: Timeline): LookPoint[] {
  const partOf = ({ at }: LookPoint) => Math.min(59, Math.floor((60 * timeline.secondsAt(at)) / timeline.durationS));
  return looks.filter((look, i) => looks[i + 1] === undefined || partOf(looks[i + 1] ?? look) !== partOf(look));
}

/** What a line or a sign stands for. */
function swatch(className: string, label: string, marker?: keyof typeof SIGNS): Html {
  const shape = marker === undefined ? html`<path class="line ${className}" d="M1 7H27" />` : html`<path class="marker ${className}" d="M14 7${SIGNS[marker]}" />`;
  return html`<span class="swatch"><svg viewBox="0 0 28 14" width="28" height="14" aria-hidden="true">${shape}</svg> ${label}</span> `;
}

function middle({ fromS, lengthS }: Slice): number {
  return fromS + lengthS / 2;
}

function known(series: readonly Series[]): number[] {
  return series.flatMap(({ points }) => points.flatMap(({ y }) => (y === null ? [] : [y])));
}

function most(series: readonly Series[]): number {
  return known(series).reduce((a, b) => Math.max(a, b), 0);
}

function inMs(value: number | null): number | null {
  return value === null ? null : rounded(value, 1);
}

function decimals(value: number | undefined): number | null {
  return value === undefined ? null : rounded(value, DIGITS);
}
