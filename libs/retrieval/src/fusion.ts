/**
 * A spread this small is rounding: cosines of float32 rows are good to about 1e-7. Dividing by it would rank by noise.
 */
const NO_SPREAD = 1e-6;

/** Scores by row, and what of each was lent by neighbours, in the same units. */
export interface ContextualScores {
  readonly scores: Float64Array;
  /** undefined: nothing. */
  readonly lent: Float64Array | undefined;
}

/** One score by row, and the part of it that neighbours lent. */
export interface Fused {
  readonly fused: Float64Array;
  /** undefined: nothing. */
  readonly context: Float64Array | undefined;
}

/**
 * One score by row from those of the parts (BM25, the dense scan), each with what neighbours lent: the sum of their z-scores
 * over the given rows, all below `rowEnd`. A part that is the same for all rows adds 0. Other rows of the answer stay 0.
 * Scores rather than ranks: 9 points of nDCG@10 above reciprocal rank fusion on dialogue, level on SciFact.
 */
export function fuse(parts: readonly ContextualScores[], rows: Uint32Array, rowEnd: number): Fused {
  const fused = new Float64Array(rowEnd);
  const context = parts.some(({ lent }) => lent !== undefined) ? new Float64Array(rowEnd) : undefined;
  for (const { scores, lent } of parts) {
    const spread = spreadOf(scores, rows);
    if (spread === undefined) continue;
    const { mean, deviation } = spread;
    for (let i = 0; i < rows.length; i++) fused[rows[i]] += (scores[rows[i]] - mean) / deviation;
    if (lent === undefined || context === undefined) continue;
    for (let i = 0; i < rows.length; i++) context[rows[i]] += lent[rows[i]] / deviation;
  }
  return { fused, context };
}

/** undefined where the scores of the rows are all the same. Loops by number: of a search's work on every row this is a third. */
function spreadOf(scores: Float64Array, rows: Uint32Array): { mean: number; deviation: number } | undefined {
  let sum = 0;
  for (let i = 0; i < rows.length; i++) sum += scores[rows[i]];
  const mean = sum / rows.length;
  let squares = 0;
  for (let i = 0; i < rows.length; i++) squares += (scores[rows[i]] - mean) ** 2;
  const deviation = Math.sqrt(squares / rows.length);
  return deviation <= NO_SPREAD ? undefined : { mean, deviation };
}
