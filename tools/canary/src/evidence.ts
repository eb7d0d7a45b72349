import { GUARDRAILS, type Guardrail, type StatisticalGuardrail } from "@memseal/guardrails";
import type { Cadence } from "./cadence.js";

export const guardrails: readonly Guardrail[] = GUARDRAILS;
export const statistical = guardrails.filter((one): one is StatisticalGuardrail => one.kind !== "never");
/** Compared with the stable release, alone or beside a limit. */
export const compared = statistical.filter(isCompared);

export function isCompared(guardrail: Guardrail): boolean {
  return guardrail.kind === "compared" || (guardrail.kind === "rate" && guardrail.orAsStable === true);
}

/** Whether the limit alone can be broken. */
export function isLimited(guardrail: Guardrail): boolean {
  return guardrail.kind !== "compared";
}

/** The most that the probability may be, in an hour, that rules roll back a release that keeps every limit. */
const FALSE_ROLLBACK = 0.01;
/** The most that it may be, in a step, that one at twice a limit is let through. */
const FALSE_PROMOTION = 0.05;

/**
 * What the evidence of a window must reach, a natural logarithm. With n trials of which each is a breach with a share of at most p,
 * however they come, P(breaches >= b) <= exp(-n KL(b/n || p)) (Hoeffding, Probability inequalities for sums of bounded random
 * variables, 1963, theorem 1; section 6 for what is compared, which is hypergeometric). So a look errs with at most
 * exp(-needed), and each guardrail is looked at once an evaluation: all looks of an hour together err with at most FALSE_ROLLBACK.
 *
 * The judge needs less for the same promise, as its evidence may be looked at at any time; PromQL has no memory for that.
 */
export function neededToRollBack({ evaluationS }: Cadence): number {
  return Math.log((statistical.length * 3_600) / evaluationS / FALSE_ROLLBACK);
}

/** A step ends by one look, and all guardrails must pass it, so neither has a part of the budget. */
export const NEEDED_TO_PROMOTE = -Math.log(FALSE_PROMOTION);

/** 0 log 0 is 0, which ln(0) is not. */
const TINY = "1e-9";

/** PromQL of n KL(breaches/n || expected/n), where breaches are more (or fewer) than expected; otherwise 0. All three are series with the same labels. */
export function logEvidence({ trials, breaches, expected, side }: { trials: string; breaches: string; expected: string; side: "more" | "fewer" }): string {
  const term = (is: string, wouldBe: string) => `clamp_min(${is}, ${TINY}) * ln(clamp_min(${is}, ${TINY}) / (${wouldBe}))`;
  const isOff = `${breaches} ${side === "more" ? ">" : "<"} ${expected}`;
  return `((${term(breaches, expected)} + ${term(`${trials} - ${breaches}`, `${trials} - ${expected}`)}) and ${isOff} and ${expected} > 0) or (0 * ${breaches} and ${trials} and ${expected})`;
}

/** The same number as logEvidence gives for more breaches than expected, for who has the counts at hand. */
export function logEvidenceOf(trials: number, breaches: number, share: number): number {
  const term = (is: number, wouldBe: number) => (is === 0 ? 0 : is * Math.log(is / wouldBe));
  return breaches > trials * share ? term(breaches, trials * share) + term(trials - breaches, trials * (1 - share)) : 0;
}
