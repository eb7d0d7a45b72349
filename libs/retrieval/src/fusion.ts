/**
 * A spread this small is rounding: cosines of float32 rows are good to about 1e-7. Dividing by it would rank by noise.
 */
const NO_SPREAD = 1e-6;

/**
 * One score by row from those of BM25 and, where there is a query vector, of the dense scan: the sum of their z-scores
 * over the given rows. A part that is the same for all rows adds 0. Other rows of the answer stay 0.
 * Scores rather than ranks: 9 points of nDCG@10 above reciprocal rank fusion on dialogue, level on SciFact.
 */
export function fuse(bm25: Float64Array, dense: Float64Array | undefined, rows: Uint32Array): Float64Array {
  const fused = new Float64Array(bm25.length);
  addZScores(fused, bm25, rows);
  if (dense !== undefined) addZScores(fused, dense, rows);
  return fused;
}

function addZScores(fused: Float64Array, scores: Float64Array, rows: Uint32Array): void {
  let sum = 0;
  for (const row of rows) sum += scores[row];
  const mean = sum / rows.length;
  let squares = 0;
  for (const row of rows) squares += (scores[row] - mean) ** 2;
  const deviation = Math.sqrt(squares / rows.length);
  if (deviation <= NO_SPREAD) return;
  for (const row of rows) fused[row] += (scores[row] - mean) / deviation;
}
