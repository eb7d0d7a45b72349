import { z } from "zod";
import { ASKED, samplesIn } from "../adapters/prometheus.js";
import type { LookPoint } from "../report/look-point.js";
import { secondsOf } from "../seconds.js";
import type { Look, Release } from "./release.js";

const TIME = z.iso.datetime();

export const HEARD = z.strictObject({ name: z.string(), action: z.enum(["rollback", "hold", "heartbeat"]), received_at: TIME });

/** Everything that a look of the runner rested on, and what came of it: enough to judge again. */
export const LOOK_FILE = z.strictObject({
  n: z.number().int().min(1),
  at: TIME,
  /** Of the traffic, given to the candidate at that time. */
  step_percent: z.number(),
  is_warming: z.boolean(),
  /** Heard of since the look before. */
  alerts: z.array(HEARD),
  abort: z.union([
    z.strictObject({ trigger: z.literal("operator"), signal: z.string() }),
    z.strictObject({ trigger: z.literal("runner"), fault: z.string() }),
  ]).nullable(),
  /** Empty where Prometheus was not asked, since who spoke first had ended the release. */
  prometheus: z.array(ASKED),
  /** Events that stable met at the same row. */
  excused: z.strictObject({ integrity_failures: z.number().int().min(0) }),
  verdict: z.looseObject({ verdict: z.enum(["rollback", "promote", "inconclusive"]) }),
  action: z.looseObject({ do: z.enum(["wait", "step", "end"]) }),
});
export type LookFile = z.infer<typeof LOOK_FILE>;

/** What a look rested on, before it is known what comes of it. */
export type LookInputs = Omit<LookFile, "verdict" | "action">;

/** What a release is shown of a look. */
export function lookOf({ at, alerts, abort, prometheus, is_warming, excused }: LookInputs): Look {
  return {
    atS: secondsOf(at),
    alerts,
    abort: abort ?? undefined,
    isWarming: is_warming,
    observation: prometheus.length === 0 ? undefined : { samples: samplesIn(prometheus), excused },
  };
}

/** What the report shows of a look, once the release has been shown it. */
export function pointOf({ at, step_percent }: LookInputs, { verdict, evidence }: Pick<Release, "verdict" | "evidence">): LookPoint {
  return { at, step_percent, verdict: verdict.verdict, evidence };
}
