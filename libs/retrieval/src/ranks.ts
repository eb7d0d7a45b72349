/** So many that few of the values share one. */
const BUCKETS = 1_024;

/** Of each value its rank among `scores`: 1 plus how many of them are greater. */
export function ranksAmong(scores: Float64Array, values: readonly number[]): number[] {
  const ascending = Float64Array.from(values).sort();
  const lowest = ascending[0];
  const scale = BUCKETS / (ascending[ascending.length - 1] - lowest);
  // Monotone: of two numbers in different buckets the one in the lower bucket is the lower one.
  const bucketOf = (number: number): number => Math.min(BUCKETS - 1, Math.floor((number - lowest) * scale) || 0);
  // By bucket: how many of the values are in lower ones.
  const below = new Uint32Array(BUCKETS + 1);
  for (const value of ascending) below[bucketOf(value) + 1]++;
  for (let bucket = 1; bucket <= BUCKETS; bucket++) below[bucket] += below[bucket - 1];
  const countBelow = (number: number): number => {
    let count = below[bucketOf(number)];
    while (ascending[count] < number) count++;
    return count;
  };
  // beats[i]: how many scores are greater than exactly the i lowest values.
  const beats = new Uint32Array(ascending.length + 1);
  // Those that beat none do not count, and are the most.
  for (const score of scores) if (score > lowest) beats[countBelow(score)]++;
  for (let at = beats.length - 1; at > 0; at--) beats[at - 1] += beats[at];
  // Equal values share the slot after the lowest of them: no score lies between.
  return values.map((value) => 1 + beats[countBelow(value) + 1]);
}
