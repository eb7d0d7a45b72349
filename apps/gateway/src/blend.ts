/**
 * Fused scores and logits as one order, best first: score = fused + weight * logit. `fused` is sorted, best first;
 * the logits, at least one of them a number, belong to its first candidates. One without a logit counts with the least, so
 * those beyond the last logit keep their order and stay behind every candidate that was scored.
 */
export function blend<T extends { readonly score: number }>(fused: readonly T[], logits: readonly (number | undefined)[], weight: number): (T & { logit: number | undefined })[] {
  const least = Math.min(...logits.filter((logit) => logit !== undefined));
  return fused
    .map((one, i) => ({ ...one, score: one.score + weight * (logits[i] ?? least), logit: logits[i] }))
    .sort((a, b) => b.score - a.score);
}
