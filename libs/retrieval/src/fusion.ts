/**
 * A spread this small is rounding: cosines of float32 rows are good to about 1e-7. Dividing by it would rank by noise.
 */
const NO_SPREAD = 1e-6;

/** Scores by row, and what of each was lent by neighbours, in the same units. */
export interface ContextualScores {
  readonly scores: Float64Array;
  readonly lent: Float64Array;
}

/** One score by row, and the part of it that neighbours lent. */
export interface Fused {
  readonly fused: Float64Array;
  readonly context: Float64Array;
}

/**
 * One score by row from those of the parts (BM25, the dense scan), each with what neighbours lent: the sum of their z-scores
 * over the given rows, all below `rowEnd`. A part that is the same for all rows adds 0. Other rows of the answer stay 0.
 * Scores rather than ranks: 9 points of nDCG@10 above reciprocal rank fusion on dialogue, level on SciFact.
 */
export function fuse(parts: readonly ContextualScores[], rows: Uint32Array, rowEnd: number): Fused {
  const fused = new Float64Array(rowEnd);
  const context = new Float64Array(rowEnd);
  for (const part of parts) addZScores({ fused, context }, part, rows);
  return { fused, context };
}

function addZScores({ fused, context }: Fused, { scores, lent }: ContextualScores, rows: Uint32Array): void {
  let sum = 0;
  for (const row of rows) sum += scores[row];
  const mean = sum / rows.length;
  let squares = 0;
  for (const row of rows) squares += (scores[row] - mean) ** 2;
  const deviation = Math.sqrt(squares / rows.length);
  if (deviation <= NO_SPREAD) return;
  for (const row of rows) {
    fused[row] += (scores[row] - mean) / deviation;
    context[row] += lent[row] / deviation;
  }
}
