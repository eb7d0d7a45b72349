/** A mean and where 95% of its resamples lie. */
export interface Estimate {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 2_000;
const SEED = 20_261_122;

/**
 * Percentile bootstrap over questions; the same values give the same interval. Of differences between two configurations, a
 * value a question, it is the paired bootstrap. values: at least one. Source: Efron and Tibshirani, 1993; Sakai, 2006.
 */
export function bootstrap(values: readonly number[]): Estimate {
  const random = generator(SEED);
  const means = new Float64Array(RESAMPLES);
  for (let resample = 0; resample < RESAMPLES; resample++) {
    let total = 0;
    for (let i = 0; i < values.length; i++) total += values[Math.floor(random() * values.length)];
    means[resample] = total / values.length;
  }
  means.sort();
  return {
    mean: values.reduce((total, value) => total + value, 0) / values.length,
    low: means[Math.floor(0.025 * RESAMPLES)],
    high: means[Math.ceil(0.975 * RESAMPLES) - 1],
  };
}

/** mulberry32: [0, 1), 32 bits of state. Math.random takes no seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
