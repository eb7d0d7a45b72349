/**
 * Fused scores and logits as one order, best first: score = fused + weight * logit. `fused` is sorted, best first;
 * the logits, at least one, belong to its first candidates. Those beyond count with the least logit, so they keep their
 * order and stay behind every candidate that was scored.
 */
export function blend<T extends { readonly score: number }>(fused: readonly T[], logits: readonly number[], weight: number): (T & { logit: number | undefined })[] {
  const least = Math.min(...logits);
  return fused
    .map((one, i) => ({ ...one, score: one.score + weight * (logits[i] ?? least), logit: logits[i] }))
    .sort((a, b) => b.score - a.score);
}
