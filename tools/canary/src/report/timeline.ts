import type { LoadRow } from "../load/load-row.js";
import { summarize, type LoadSummary } from "../load/load-summary.js";

/** Real time of a release, in seconds since the candidate's first share. */
export class Timeline {
  private constructor(private readonly startMs: number, readonly durationS: number) {}

  /** start: of the first share, if one was given. times: of what has to be seen, at least one. */
  static of(start: string | undefined, times: readonly string[]): Timeline {
    const known = times.map((time) => Date.parse(time));
    const startMs = start === undefined ? known.reduce((a, b) => Math.min(a, b), Infinity) : Date.parse(start);
    const endMs = known.reduce((a, b) => Math.max(a, b), startMs);
    return new Timeline(startMs, Math.max(1, (endMs - startMs) / 1_000));
  }

  /** @param time as toISOString writes it */
  secondsAt(time: string): number {
    return (Date.parse(time) - this.startMs) / 1_000;
  }
}

/** What was asked in a part of the time. */
export interface Slice {
  readonly fromS: number;
  readonly lengthS: number;
  readonly summary: LoadSummary;
}

/** A p95 of fewer answers says little. */
const MOST_SLICES = 40;

/** Equal parts of at least a second, so that none looks quieter for being shorter. Rows of before the start are in the first. */
export function slicesOf(rows: readonly LoadRow[], timeline: Timeline): Slice[] {
  const count = Math.min(MOST_SLICES, Math.floor(timeline.durationS));
  const lengthS = timeline.durationS / count;
  const parts = Array.from({ length: count }, (): LoadRow[] => []);
  for (const row of rows) parts[Math.min(count - 1, Math.max(0, Math.floor(timeline.secondsAt(row.at) / lengthS)))]?.push(row);
  return parts.map((part, i) => ({ fromS: i * lengthS, lengthS, summary: summarize(part) }));
}
