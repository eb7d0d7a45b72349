import { apart, samplesOf } from "./apart.fixture.js";
import type { Sample } from "./counters.js";
import { allowedShare, GUARDRAILS, type Guardrail, type StatisticalGuardrail } from "./guardrails.js";
import { Judge, type JudgeOptions, type Verdict } from "./judge.js";

/** The true shares of breaches. */
export interface Shares {
  canary: number;
  stable: number;
}

export interface Simulation {
  /** Judged all at once, each over series of its own. */
  guardrails: readonly Guardrail[];
  shares: (guardrail: StatisticalGuardrail) => Shares;
  /** When a run is over, beside its last look. */
  endsAt: (verdict: Verdict["verdict"]) => boolean;
  runs: number;
  seed: number;
  /** Trials of the candidate, for each guardrail, after which a run ends without. */
  trials?: number;
  falseRollback?: number;
}

export interface Outcomes {
  runs: number;
  rollback: number;
  promote: number;
  /** Trials of the candidate, for each guardrail, after which half of the runs had ended; Infinity where fewer had. */
  medianTrials: number;
}

/** A 5% candidate: one request to 19 of the stable release. */
const STABLE_TIMES = 19;

/** Runs that differ by chance alone: how many ended in which verdict. The judge sees counters, as from a scrape. */
export function simulate({ guardrails, shares, endsAt, runs, seed, trials = 10_000, falseRollback }: Simulation): Outcomes {
  const watched = guardrails.map(apart);
  const random = mulberry32(seed);
  const outcomes = { rollback: 0, promote: 0 };
  const ended: number[] = [];
  for (let run = 0; run < runs; run++) {
    const last = simulateOnce({ watched, shares, endsAt, trials, random, options: { guardrails: watched, startedAtS: 0, ...(falseRollback === undefined ? {} : { falseRollback }) } });
    if (last.verdict !== "inconclusive") outcomes[last.verdict]++;
    ended.push(last.isEnd ? last.trials : Infinity);
  }
  ended.sort((a, b) => a - b);
  return { runs, ...outcomes, medianTrials: ended[Math.floor(runs / 2)] ?? Infinity };
}

interface Run extends Pick<Simulation, "shares" | "endsAt"> {
  watched: readonly Guardrail[];
  trials: number;
  random: () => number;
  options: JudgeOptions;
}

function simulateOnce({ watched, shares, endsAt, trials, random, options }: Run): { verdict: Verdict["verdict"]; trials: number; isEnd: boolean } {
  const judge = new Judge(options);
  const state = watched.map((guardrail) => ({ guardrail, shares: guardrail.kind === "never" ? { canary: 0, stable: 0 } : shares(guardrail), canary: 0, stable: 0 }));
  let before = 0;
  let verdict: Verdict["verdict"] = "inconclusive";
  for (const [look, now] of looks(trials).entries()) {
    const atS = look + 1;
    const samples: Sample[] = [];
    for (const one of state) {
      one.canary += binomial(now - before, one.shares.canary, random);
      one.stable += binomial((now - before) * STABLE_TIMES, one.shares.stable, random);
      samples.push(...samplesOf(one.guardrail, { trials: now, breaches: one.canary }, { track: "canary", atS }));
      if (isCompared(one.guardrail)) samples.push(...samplesOf(one.guardrail, { trials: now * STABLE_TIMES, breaches: one.stable }, { track: "stable", atS }));
    }
    before = now;
    ({ verdict } = judge.observe({ atS, samples }));
    if (endsAt(verdict)) return { verdict, trials: now, isEnd: true };
  }
  return { verdict, trials, isEnd: false };
}

/** After how many trials the judge looks: at each of the first twenty, then each time a tenth has been added. */
function looks(trials: number): number[] {
  const all = [];
  for (let now = 0; now < trials; all.push(now)) now = Math.min(trials, Math.max(now + 1, Math.ceil(now < 20 ? now + 1 : now * 1.1)));
  return all;
}

/** Source: mulberry32 by Tommy Ettinger, public domain. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How many of n trials are breaches, exactly: from one breach to the next it is a geometric distance. */
function binomial(n: number, share: number, random: () => number): number {
  if (share <= 0) return 0;
  if (share >= 1) return n;
  let breaches = 0;
  for (let at = 0; ; breaches++) {
    at += 1 + Math.floor(Math.log(1 - random()) / Math.log1p(-share));
    if (at > n) return breaches;
  }
}

const all: readonly Guardrail[] = GUARDRAILS;
const statistical = all.filter((one): one is StatisticalGuardrail => one.kind !== "never");
const isCompared = (one: Guardrail) => one.kind === "compared" || (one.kind === "rate" && one.orAsStable === true);
const PART_OF_BUDGET = 0.01 / statistical.length;

/** A candidate at that many times each limit, beside a stable release that is perfect where the limit is looked at, too, and as bad where it is compared alone. */
const timesLimit = (times: number) => (one: StatisticalGuardrail): Shares => {
  const canary = times * allowedShare(one);
  return { canary, stable: one.kind === "compared" ? canary : 0 };
};

/** A probability that is promised to be small. */
export interface Promised {
  what: string;
  atMost: number;
  /** In how many of so many runs it happened. */
  count: (runs: number) => number;
}

const rolledBack = (what: string, shares: Simulation["shares"]): Promised => ({
  what: `false rollback: ${what}`,
  atMost: 0.01,
  count: (runs) => simulate({ guardrails: all, shares, endsAt: (verdict) => verdict === "rollback", runs, seed: 1 }).rollback,
});

/** All other guardrails could only delay a promotion, so they are left out; their parts of the budget are not given to this one. */
const promoted = (what: string, one: StatisticalGuardrail, shares: Shares): Promised => ({
  what: `false promotion: ${one.id} ${what}`,
  atMost: 0.05,
  count: (runs) => simulate({ guardrails: [one], shares: () => shares, endsAt: (verdict) => verdict !== "inconclusive", runs, seed: 2, falseRollback: PART_OF_BUDGET }).promote,
});

export const PROMISED: readonly Promised[] = [
  rolledBack("at every limit", timesLimit(1)),
  rolledBack("at half of every limit", timesLimit(0.5)),
  rolledBack("at every limit, as bad as stable where compared", (one) => (isCompared(one) ? { canary: 0.3, stable: 0.3 } : timesLimit(1)(one))),
  ...statistical.map((one) => promoted("at twice its limit", one, { canary: 2 * allowedShare(one), stable: isCompared(one) ? allowedShare(one) : 0 })),
  ...statistical.filter(isCompared).map((one) => promoted("at 40%, stable at 20%", one, { canary: 0.4, stable: 0.2 })),
];

/** What half of the candidates need for a verdict. */
export interface Speed {
  what: string;
  /** Requests of the candidate, of each kind that is watched. */
  most: number;
  median: (runs: number) => number;
}

const untilRollback = (share: number, most: number): Speed => ({
  what: `rollback where ${100 * share}% of streams fail`,
  most,
  median: (runs) => simulate({
    guardrails: all.filter(({ id }) => id === "stream_success"), shares: () => ({ canary: share, stable: 0 }), endsAt: (verdict) => verdict === "rollback",
    runs, seed: 3, falseRollback: PART_OF_BUDGET,
  }).medianTrials,
});

const untilPromotion = (times: number, most: number): Speed => ({
  what: `promotion with every share at ${times} of its limit`,
  most,
  median: (runs) => simulate({ guardrails: all, shares: timesLimit(times), endsAt: (verdict) => verdict !== "inconclusive", runs, seed: 4 }).medianTrials,
});

export const SPEEDS: readonly Speed[] = [
  untilRollback(1, 2), untilRollback(0.5, 6), untilRollback(0.1, 50), untilRollback(0.05, 150), untilRollback(0.02, 750),
  untilPromotion(0, 500), untilPromotion(0.25, 1_000), untilPromotion(0.5, 1_500), untilPromotion(1, 6_000),
];

/** The 95% interval of a rate by its score test. Source: Wilson, Probable inference, 1927. */
export function wilson(events: number, runs: number): { low: number; high: number } {
  const z = 1.96;
  const rate = events / runs;
  const centre = rate + z ** 2 / (2 * runs);
  const spread = z * Math.sqrt((rate * (1 - rate)) / runs + z ** 2 / (4 * runs ** 2));
  const scale = 1 + z ** 2 / runs;
  return { low: Math.max(0, (centre - spread) / scale), high: (centre + spread) / scale };
}
