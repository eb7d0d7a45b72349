import fc from "fast-check";
import { scoresOf } from "./metrics.js";

const ranked = Array.from({ length: 60 }, (_, i) => `d${i + 1}`);
const score = (...relevant: string[]) => scoresOf(ranked, new Set(relevant));

describe("scoresOf", () => {
  it("is 1 throughout where the relevant come first", () => {
    expect(score("d1", "d2")).toEqual({ recallAt10: 1, recallAt50: 1, ndcgAt10: 1, mrr: 1 });
  });

  it("gives nDCG as computed by hand", () => {
    // DCG 1/log2(3) + 1/log2(6) = 0.630930 + 0.386853; ideal 1 + 1/log2(3) + 1/log2(4) = 2.130930.
    const { ndcgAt10, recallAt10, mrr } = score("d2", "d5", "d11");
    expect(ndcgAt10).toBeCloseTo(1.017783 / 2.13093, 6);
    expect(recallAt10).toBeCloseTo(2 / 3, 12);
    expect(mrr).toBe(1 / 2);
  });

  it("measures against the best ten places where more than ten are relevant", () => {
    expect(score(...ranked.slice(0, 20)).ndcgAt10).toBeCloseTo(1, 12);
    expect(score(...ranked.slice(0, 20)).recallAt10).toBe(0.5);
  });

  it("cuts at ten and at fifty", () => {
    expect(score("d10")).toEqual({ recallAt10: 1, recallAt50: 1, ndcgAt10: 1 / Math.log2(11), mrr: 0.1 });
    expect(score("d11")).toEqual({ recallAt10: 0, recallAt50: 1, ndcgAt10: 0, mrr: 0 });
    expect(score("d51")).toEqual({ recallAt10: 0, recallAt50: 0, ndcgAt10: 0, mrr: 0 });
    expect(scoresOf([], new Set(["d1"]))).toEqual({ recallAt10: 0, recallAt50: 0, ndcgAt10: 0, mrr: 0 });
  });

  it("never falls when a relevant document moves up", () => {
    fc.assert(fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 59 }), (relevant, at) => {
      const ids = new Set(relevant.map((n) => `d${n}`));
      fc.pre(ids.has(ranked[at]) && !ids.has(ranked[at - 1]));
      const moved = [...ranked.slice(0, at - 1), ranked[at], ranked[at - 1], ...ranked.slice(at + 1)];
      const [before, after] = [scoresOf(ranked, ids), scoresOf(moved, ids)];
      for (const metric of ["recallAt10", "recallAt50", "ndcgAt10", "mrr"] as const) expect(after[metric]).toBeGreaterThanOrEqual(before[metric]);
    }));
  });
});
