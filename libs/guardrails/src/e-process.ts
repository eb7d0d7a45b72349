/** Trials, and how many of them went the way the alternatives say more (or less) of them do. */
export interface Tally {
  readonly trials: number;
  readonly breaches: number;
}

const { exp, log, log1p } = Math;

/** Odds ratios from 1.4 to 5,793, an octave apart: a share of .4% against up to 96%. */
const WORSE = Array.from({ length: 13 }, (_, i) => 2 ** (i + 0.5));
/** Odds ratios from 1/1.4 to 1/45. */
const BETTER = WORSE.slice(0, 6).map((ratio) => 1 / ratio);

export type Direction = "worse" | "better";

/**
 * A Bernoulli mixture e-process: evidence against "a trial is a breach with at most (better: at least) the null's share",
 * which may be looked at after each window of trials.
 *
 * For one alternative, whose odds of a breach are r times the null's, n trials with k breaches at a null share p multiply the
 * evidence by the likelihood ratio r^k / (1 - p + r p)^n. Its mean under the null's share is 1; for r > 1 it grows with k, so
 * under any smaller share the mean is below 1. Alternatives are mixed with equal weights, and so
 *     E_t = sum_r 1/R  r^k_t / (1 - p + r p)^n_t
 * is a non-negative supermartingale from 1. Ville's inequality: under the null, the probability that it is ever at least 1/a,
 * at whatever look, is at most a. That takes no independence, only that each trial's share given all before is the null's or
 * better; and p may change between windows, as long as it is known before the breaches of the window are.
 *
 * worse: also mixed over when the change began. A release that was good for 10,000 requests would otherwise have to be bad
 * for thousands until its past is outweighed. With weight 1/(s(s + 1)) the evidence begins at window s, and is 1 before:
 *     Z_r,s = (Z_r,s-1 + 1/(s(s + 1))) LR_r,s,   E_s = sum_r Z_r,s / R + 1/(s + 1)
 * better: all trials count, since what is to be shown is that the whole step was good.
 *
 * Sources: Ville, Etude critique de la notion de collectif, 1939; Robbins, Statistical methods related to the law of the
 * iterated logarithm, 1970 (mixtures); Howard et al., Time-uniform, nonparametric, nonasymptotic confidence sequences, 2021;
 * Grunwald et al., Safe testing, 2024; Shin et al., E-detectors, 2023 (mixtures over the start).
 */
export class EProcess {
  readonly #ratios: readonly number[];
  /** Log of each alternative's evidence, with its weight. */
  readonly #logs: number[];
  readonly #isRestarting: boolean;
  /** Log of the weight of what has not begun yet, of which all alternatives are worth 1. */
  #logWaiting: number;
  #windows = 0;
  /** What a trial costs each alternative, in logarithms, at that share. */
  #costs: { readonly nullShare: number; readonly each: readonly number[] } = { nullShare: NaN, each: [] };

  constructor(direction: Direction) {
    this.#ratios = direction === "worse" ? WORSE : BETTER;
    this.#isRestarting = direction === "worse";
    this.#logs = this.#ratios.map(() => (this.#isRestarting ? -Infinity : -log(this.#ratios.length)));
    this.#logWaiting = this.#isRestarting ? 0 : -Infinity;
  }

  /** window: what was counted since the last. nullShare: in (0, 1). */
  observe({ trials, breaches }: Tally, nullShare: number): void {
    if (trials === 0) return;
    const s = ++this.#windows;
    const logBegun = -log(s * (s + 1) * this.#ratios.length);
    const costs = this.#costsAt(nullShare);
    this.#ratios.forEach((ratio, i) => {
      const before = this.#logs[i] ?? -Infinity;
      this.#logs[i] = (this.#isRestarting ? logSum([before, logBegun]) : before) + breaches * log(ratio) - trials * (costs[i] ?? 0);
    });
    if (this.#isRestarting) this.#logWaiting = -log(s + 1);
  }

  /** Natural logarithm of the evidence. 0 says nothing, log(1/a) is what a budget of a asks for. */
  get logEvidence(): number {
    return logSum([...this.#logs, this.#logWaiting]);
  }

  /** For `better`: the fewest further trials, none of them a breach, that bring the evidence to `logTarget`. */
  trialsUntil(logTarget: number, nullShare: number): number {
    const costs = this.#costsAt(nullShare);
    const reached = (trials: number) => logSum(this.#logs.map((each, i) => each - trials * (costs[i] ?? 0))) >= logTarget;
    if (reached(0)) return 0;
    // One alternative alone is enough by then.
    let enough = Math.ceil(Math.min(...this.#logs.map((each, i) => (each - logTarget) / (costs[i] ?? 0))));
    let tooFew = 0;
    while (enough - tooFew > 1) {
      const middle = Math.floor((tooFew + enough) / 2);
      if (reached(middle)) enough = middle;
      else tooFew = middle;
    }
    return enough;
  }

  #costsAt(nullShare: number): readonly number[] {
    if (this.#costs.nullShare !== nullShare) this.#costs = { nullShare, each: this.#ratios.map((ratio) => log1p(nullShare * (ratio - 1))) };
    return this.#costs.each;
  }
}

/** log(sum(exp(logs))), where exp alone would overflow. */
export function logSum(logs: readonly number[]): number {
  let largest = -Infinity;
  for (const each of logs) if (each > largest) largest = each;
  if (largest === -Infinity) return largest;
  let sum = 0;
  for (const each of logs) sum += exp(each - largest);
  return largest + log(sum);
}
