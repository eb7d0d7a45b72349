/**
 * Which sequences go to the model together: as many as fit in `maxTokens`, filled up to the longest of them, so those of like length;
 * a longer one alone. Indexes of `lengths`, each once.
 */
export function batchesOf(lengths: readonly number[], maxTokens: number): number[][] {
  const batches: number[][] = [];
  let batch: number[] = [];
  // Shortest first: the one that is added is the longest.
  for (const index of lengths.map((_, i) => i).sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0))) {
    if (batch.length > 0 && (batch.length + 1) * (lengths[index] ?? 0) > maxTokens) {
      batches.push(batch);
      batch = [];
    }
    batch.push(index);
  }
  return batch.length === 0 ? batches : [...batches, batch];
}
