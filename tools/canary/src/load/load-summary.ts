import type { Track } from "../world.js";
import { LOAD_KINDS, type LoadKind, type LoadRow } from "./load-row.js";

export interface KindSummary {
  requests: number;
  failures: number;
  /** Of all answers, in milliseconds, by nearest rank; null: there was none. */
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
}

export interface TrackSummary {
  requests: number;
  failures: number;
  reranked: number;
  /** Were to be reranked, and were not. */
  rerank_skipped: number;
  by_kind: Record<LoadKind, KindSummary>;
}

/** What became of those that named no track. */
export interface ObservedSplit {
  requests: number;
  canary_requests: number;
  /** In percent; null: nothing was asked. */
  canary_requests_percent: number | null;
  /** Each where it was last. */
  credentials: number;
  canary_credentials: number;
  canary_credentials_percent: number | null;
}

export interface LoadSummary {
  requests: number;
  /** By who answered. */
  tracks: Record<Track, TrackSummary>;
  /** Of which nobody knows who answered, if anybody did; each is a failure. */
  without_track: number;
  split: ObservedSplit;
}

/** Of rows in the order in which they ended. */
export function summarize(rows: readonly LoadRow[]): LoadSummary {
  return {
    requests: rows.length,
    tracks: { canary: trackSummary(rows, "canary"), stable: trackSummary(rows, "stable") },
    without_track: rows.filter(({ track }) => track === null).length,
    split: observedSplit(rows),
  };
}

function trackSummary(all: readonly LoadRow[], track: Track): TrackSummary {
  const rows = all.filter((row) => row.track === track);
  const kinds = LOAD_KINDS.map((kind): [LoadKind, KindSummary] => [kind, kindSummary(rows.filter((row) => row.kind === kind))]);
  return {
    requests: rows.length,
    failures: failuresIn(rows),
    reranked: rows.filter(({ reranked }) => reranked === true).length,
    rerank_skipped: rows.filter(({ reranked }) => reranked === false).length,
    by_kind: Object.fromEntries(kinds) as Record<LoadKind, KindSummary>,
  };
}

function kindSummary(rows: readonly LoadRow[]): KindSummary {
  const sorted = rows.map(({ ms }) => ms).sort((a, b) => a - b);
  const quantile = (share: number) => sorted.at(Math.max(0, Math.ceil(share * sorted.length) - 1)) ?? null;
  return { requests: rows.length, failures: failuresIn(rows), p50_ms: quantile(0.5), p95_ms: quantile(0.95), p99_ms: quantile(0.99) };
}

function failuresIn(rows: readonly LoadRow[]): number {
  return rows.filter(({ error }) => error !== null).length;
}

function observedSplit(all: readonly LoadRow[]): ObservedSplit {
  const rows = all.filter(({ asked, track }) => asked === "split" && track !== null);
  const last = [...new Map(rows.map(({ credential, track }) => [credential, track])).values()];
  const canary = { requests: rows.filter(({ track }) => track === "canary").length, credentials: last.filter((track) => track === "canary").length };
  return {
    requests: rows.length,
    canary_requests: canary.requests,
    canary_requests_percent: percent(canary.requests, rows.length),
    credentials: last.length,
    canary_credentials: canary.credentials,
    canary_credentials_percent: percent(canary.credentials, last.length),
  };
}

function percent(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((1_000 * part) / whole) / 10;
}
