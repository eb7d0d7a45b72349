/** Of each value its rank among `scores`: 1 plus how many of them are greater. */
export function ranksAmong(scores: Float64Array, values: readonly number[]): number[] {
  const ascending = Float64Array.from(values).sort();
  // beats[i]: how many scores are greater than exactly the i lowest values.
  const beats = new Uint32Array(ascending.length + 1);
  const lowest = ascending[0];
  // Those that beat none do not count, and are the most.
  for (const score of scores) if (score > lowest) beats[countBelow(ascending, score)]++;
  for (let at = beats.length - 1; at > 0; at--) beats[at - 1] += beats[at];
  // Equal values share the slot after the lowest of them: no score lies between.
  return values.map((value) => 1 + beats[countBelow(ascending, value) + 1]);
}

/** How many of the ascending values are less than `value`. */
function countBelow(ascending: Float64Array, value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
