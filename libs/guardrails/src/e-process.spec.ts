import fc from "fast-check";
import { EProcess, type Direction, type Tally } from "./e-process.js";

type Window = readonly [trials: number, breaches: number, nullShare: number];

function evidence(direction: Direction, windows: readonly Window[]): number {
  return Math.exp(logEvidence(direction, windows));
}

function logEvidence(direction: Direction, windows: readonly Window[]): number {
  const process = new EProcess(direction);
  for (const [trials, breaches, nullShare] of windows) process.observe({ trials, breaches }, nullShare);
  return process.logEvidence;
}

const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k);
const binomial = (n: number, k: number, p: number) => choose(n, k) * p ** k * (1 - p) ** (n - k);

/** The mean of the evidence after windows of these trials and null shares, when the share of breaches is `share` of each. */
function meanEvidence(direction: Direction, windows: readonly (readonly [trials: number, nullShare: number])[], share: (nullShare: number) => number): number {
  const [next, ...rest] = windows;
  const mean = (seen: Window[], left: typeof windows): number => {
    const [first, ...others] = left;
    if (first === undefined) return evidence(direction, seen);
    const [trials, nullShare] = first;
    return Array.from({ length: trials + 1 }, (_, k) => binomial(trials, k, share(nullShare)) * mean([...seen, [trials, k, nullShare]], others)).reduce((a, b) => a + b, 0);
  };
  return next === undefined ? 1 : mean([], [next, ...rest]);
}

const WINDOWS = [[3, 0.01], [1, 0.3], [5, 0.05], [2, 0.01]] as const;

describe.each(["worse", "better"] as const)("evidence that a share is %s than the null's", (direction) => {
  it("is 1 before the first trial, and windows without trials leave it as it is", () => {
    expect(evidence(direction, [])).toBe(1);
    expect(evidence(direction, [[0, 0, 0.1], [4, 1, 0.1], [0, 0, 0.1]])).toBe(evidence(direction, [[4, 1, 0.1]]));
  });

  it("has a mean of 1 at the null's share, over all that can come, and less on its side: nothing can be won by looking", () => {
    expect(meanEvidence(direction, WINDOWS, (share) => share)).toBeCloseTo(1, 12);
    const kept = (share: number) => (direction === "worse" ? share / 2 : 2 * share);
    expect(meanEvidence(direction, WINDOWS, kept)).toBeLessThan(1);
    const broken = (share: number) => (direction === "worse" ? 2 * share : share / 2);
    expect(meanEvidence(direction, WINDOWS, broken)).toBeGreaterThan(1);
  });

  it("has a mean of at most 1 where the breaches of a window are known and fall on one of two releases by chance", () => {
    for (const [mine, theirs, breaches] of [[5, 95, 4], [50, 50, 30], [3, 3, 5]] as const) {
      const hypergeometric = (k: number) => (choose(mine, k) * choose(theirs, breaches - k)) / choose(mine + theirs, breaches);
      const possible = Array.from({ length: breaches + 1 }, (_, k) => k).filter((k) => k <= mine && breaches - k <= theirs);
      const mean = possible.map((k) => hypergeometric(k) * evidence(direction, [[breaches, k, mine / (mine + theirs)]])).reduce((a, b) => a + b, 0);
      expect(mean).toBeLessThanOrEqual(1);
    }
  });

  it("grows with each breach (falls, where it is to show that there are few)", () => {
    const windows = fc.array(fc.record({ trials: fc.integer({ min: 1, max: 50 }), part: fc.double({ min: 0, max: 1, noNaN: true }), nullShare: fc.double({ min: 0.001, max: 0.5, noNaN: true }) }), { minLength: 1, maxLength: 8 });
    fc.assert(fc.property(windows, fc.nat(), (drawn, at) => {
      const tallies = drawn.map(({ trials, part, nullShare }) => [trials, Math.floor(part * (trials - 1)), nullShare] as const);
      const worse = tallies.map(([trials, breaches, nullShare], i) => [trials, breaches + (i === at % tallies.length ? 1 : 0), nullShare] as const);
      const [before, after] = [logEvidence(direction, tallies), logEvidence(direction, worse)];
      // As far as doubles tell: what is added to 1e128 can be lost in it.
      expect(direction === "worse" ? after - before : before - after).toBeGreaterThan(-1e-9);
    }));
  });
});

describe("evidence", () => {
  // Computed from the definition, start by start and alternative by alternative, by another program.
  it.each<[Direction, readonly Window[], number]>([
    ["worse", [[2, 2, 0.004]], 8850.164203669232],
    ["worse", [[1, 1, 0.004], [1, 1, 0.004]], 8866.269043927092],
    ["worse", [[10, 1, 0.01], [20, 3, 0.01], [5, 0, 0.01]], 44.899005982399025],
    ["worse", [[4, 3, 0.05], [2, 2, 0.5]], 590.5650173049839],
    ["better", [[10, 1, 0.02], [200, 0, 0.02]], 3.6325257135986884],
  ])("that it is %s after %j is %d", (direction, windows, expected) => {
    expect(evidence(direction, windows)).toBeCloseTo(expected, 6);
  });

  it("of a release that was good for 100,000 requests still finds within ten that all fail", () => {
    const process = new EProcess("worse");
    for (let i = 0; i < 1_000; i++) process.observe({ trials: 100, breaches: 0 }, 0.01);
    let failures = 0;
    while (process.logEvidence < Math.log(900)) {
      process.observe({ trials: 1, breaches: 1 }, 0.01);
      failures++;
    }
    expect(failures).toBeLessThanOrEqual(10);
  });

  it("does not depend on how trials that prove few breaches are cut into windows", () => {
    expect(evidence("better", [[100, 1, 0.02], [50, 0, 0.02], [1, 1, 0.02]])).toBeCloseTo(evidence("better", [[151, 2, 0.02]]), 9);
  });

  it.each([[0.008, 444], [0.02, 177], [0.1, 34]])("below a share of %d at a twentieth takes %d trials without a breach", (nullShare, trials) => {
    expect(new EProcess("better").trialsUntil(Math.log(20), nullShare)).toBe(trials);
  });

  it("tells exactly how many trials without a breach are missing", () => {
    fc.assert(fc.property(fc.nat(300), fc.nat(4), (trials, breaches) => {
      const tally: Tally = { trials: trials + breaches, breaches };
      const after = (more: number) => {
        const process = new EProcess("better");
        process.observe(tally, 0.02);
        process.observe({ trials: more, breaches: 0 }, 0.02);
        return process.logEvidence;
      };
      const process = new EProcess("better");
      process.observe(tally, 0.02);
      const missing = process.trialsUntil(Math.log(20), 0.02);
      expect(after(missing)).toBeGreaterThanOrEqual(Math.log(20));
      if (missing > 0) expect(after(missing - 1)).toBeLessThan(Math.log(20));
    }));
  });
});
