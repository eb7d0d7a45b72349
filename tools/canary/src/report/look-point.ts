/** What the judge had on one guardrail at a look. */
export interface EvidencePoint {
  readonly guardrail: string;
  /** Natural logarithm of the evidence that the limit is not kept. */
  readonly against: number;
  /** What `against` has to reach to roll back. */
  readonly needed: number;
  /** The fewest further trials of the candidate, none of them a breach, until it may be promoted; 0: it is shown. */
  readonly missing: number;
}

/** What was known at a look of the runner. */
export interface LookPoint {
  /** As toISOString writes it. */
  readonly at: string;
  /** Of the traffic, given to the candidate at that time. */
  readonly step_percent: number;
  readonly verdict: string;
  /** Of every guardrail that is judged by evidence. */
  readonly evidence: readonly EvidencePoint[];
}
