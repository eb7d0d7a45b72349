import { z } from "zod";
import { staleAfterS, type Cadence } from "../cadence.js";

/** A share of the traffic, and how long it must have been watched before the next. Times are of the plan: a time scale divides them. */
const STEP = z.strictObject({ percent: z.number().int().min(1).max(100), window_s: z.number().positive() });

export const RELEASE_PLAN = z.strictObject({
  steps: z.array(STEP).min(1),
  /** Every so often what is known is written down: 12 times in the first hour. */
  checkpoint_every_s: z.number().positive(),
  /** Since the first step began, at which the charts are kept as well. */
  snapshots_s: z.array(z.number().positive()),
  /** How much longer than its window a step may wait for evidence, before the release ends without a decision. */
  patience_s: z.number().min(0),
  /** Real seconds, whatever the time scale: how often Prometheus is asked. */
  look_every_s: z.number().positive(),
  /** Real seconds after which a series that was not scraped is a breach. */
  stale_after_s: z.number().positive(),
  /** Real seconds without the alert that always fires, after which nobody may rely on alerts. */
  heartbeat_within_s: z.number().positive(),
  time_scale: z.number().min(1),
});
/** What a release goes through, as the evidence keeps it. */
export type ReleasePlan = z.infer<typeof RELEASE_PLAN>;

const HOUR_S = 3_600;
/** Alertmanager repeats the alert that always fires each minute. */
const HEARTBEAT_WITHIN_S = 180;

/** 5% for an hour, then 25, 50 and 100% for a quarter of an hour each. */
export function planOf(cadence: Cadence, timeScale: number): ReleasePlan {
  return {
    steps: [{ percent: 5, window_s: HOUR_S }, ...[25, 50, 100].map((percent) => ({ percent, window_s: HOUR_S / 4 }))],
    checkpoint_every_s: HOUR_S / 12,
    snapshots_s: [HOUR_S / 4, HOUR_S / 2, HOUR_S],
    patience_s: HOUR_S,
    look_every_s: cadence.scrapeS,
    stale_after_s: staleAfterS(cadence),
    heartbeat_within_s: HEARTBEAT_WITHIN_S,
    time_scale: timeScale,
  };
}

/** Seconds of the plan as they really pass. */
export function realS({ time_scale }: Pick<ReleasePlan, "time_scale">, planS: number): number {
  return planS / time_scale;
}
