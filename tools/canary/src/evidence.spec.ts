import { PRODUCTION, QUICK } from "./cadence.js";
import { logEvidenceOf, NEEDED_TO_PROMOTE, neededToRollBack, statistical } from "./evidence.js";

/** P(breaches >= b) of n trials at a share p, exactly. */
function upperTail(n: number, b: number, p: number): number {
  let logTerm = n * Math.log1p(-p);
  let below = 0;
  for (let k = 0; k < b; k++) {
    below += Math.exp(logTerm);
    logTerm += Math.log((n - k) / (k + 1)) + Math.log(p / (1 - p));
  }
  return 1 - below;
}

describe("the evidence of a window", () => {
  it("is as rare by chance as it says, whatever the share and the number of trials", () => {
    for (const p of [0.004, 0.01, 0.05]) {
      for (const n of [1, 5, 20, 100, 1_000]) {
        for (let b = Math.ceil(n * p); b <= n && logEvidenceOf(n, b, p) < 20; b++) expect(upperTail(n, b, p)).toBeLessThanOrEqual(Math.exp(-logEvidenceOf(n, b, p)) + 1e-12);
      }
    }
  });

  it("needed for a rollback leaves a hundredth of an hour's releases to chance, over all guardrails and looks", () => {
    for (const cadence of [PRODUCTION, QUICK]) {
      const looks = (statistical.length * 3_600) / cadence.evaluationS;
      expect(looks * Math.exp(-neededToRollBack(cadence))).toBeCloseTo(0.01, 12);
    }
  });

  it("is there after a few requests of a release that fails", () => {
    const needed = neededToRollBack(PRODUCTION);
    expect(logEvidenceOf(3, 3, 0.01)).toBeGreaterThan(needed);
    expect(logEvidenceOf(2, 2, 0.01)).toBeLessThan(needed);
    expect(logEvidenceOf(5, 5, 0.05)).toBeGreaterThan(needed);
    expect(logEvidenceOf(20, 6, 0.01)).toBeGreaterThan(needed);
  });

  it("for a promotion takes hundreds of requests: one hundred at 5% of the traffic prove nothing", () => {
    const without = (n: number, share: number) => -n * Math.log1p(-2 * share);
    expect(without(5, 0.05)).toBeLessThan(NEEDED_TO_PROMOTE);
    expect(without(148, 0.01)).toBeLessThan(NEEDED_TO_PROMOTE);
    expect(without(149, 0.01)).toBeGreaterThan(NEEDED_TO_PROMOTE);
  });
});
