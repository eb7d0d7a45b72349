import type { Evidence } from "@memseal/guardrails";

/** What was known at a look of the runner. */
export interface LookPoint {
  /** As toISOString writes it. */
  readonly at: string;
  /** Of the traffic, given to the candidate at that time. */
  readonly step_percent: number;
  readonly verdict: string;
  /** Of every guardrail that is judged by evidence. */
  readonly evidence: readonly Evidence[];
}
