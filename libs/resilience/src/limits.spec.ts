import fc from "fast-check";
import { TokenBuckets } from "./limits.js";

const rates = fc.record({ perSecond: fc.double({ min: 0.5, max: 1_000, noNaN: true }), burst: fc.integer({ min: 1, max: 500 }) });
const pauses = fc.array(fc.integer({ min: 0, max: 2_000 }), { minLength: 1, maxLength: 200 });

describe("token buckets", () => {
  it("never allow more in any stretch of time than a burst and what flowed in", () => {
    fc.assert(fc.property(rates, pauses, (rate, gaps) => {
      const buckets = new TokenBuckets(rate, { max: 1 });
      const allowedAt: number[] = [];
      let now = 0;
      for (const gap of gaps) {
        now += gap;
        if (buckets.take("a", now).isAllowed) allowedAt.push(now);
      }
      for (let i = 0; i < allowedAt.length; i++) {
        for (let j = i; j < allowedAt.length; j++) {
          expect(j - i + 1).toBeLessThanOrEqual(rate.burst + ((allowedAt[j] - allowedAt[i]) / 1_000) * rate.perSecond + 1e-6);
        }
      }
    }), { numRuns: 50 });
  });

  it("allow again after the wait they named, and not before", () => {
    fc.assert(fc.property(rates, (rate) => {
      const buckets = new TokenBuckets(rate, { max: 1 });
      let answer = buckets.take("a", 0);
      while (answer.isAllowed) answer = buckets.take("a", 0);
      const waitMs = answer.retryAfterS * 1_000;
      expect(waitMs).toBeGreaterThan(0);
      expect(buckets.take("a", waitMs * 0.9).isAllowed).toBe(false);
      expect(buckets.take("a", waitMs + 1e-3).isAllowed).toBe(true);
    }));
  });

  it("say what is left and when they are full again", () => {
    const buckets = new TokenBuckets({ perSecond: 2, burst: 4 }, { max: 1 });
    expect(buckets.take("a", 0)).toEqual({ isAllowed: true, limit: 4, remaining: 3, retryAfterS: 0, resetS: 0.5 });
    expect(buckets.peek("a", 0)).toMatchObject({ isAllowed: true, remaining: 3 });
    for (let i = 0; i < 3; i++) buckets.take("a", 0);
    expect(buckets.take("a", 0)).toEqual({ isAllowed: false, limit: 4, remaining: 0, retryAfterS: 0.5, resetS: 2 });
    expect(buckets.take("a", 1_000)).toMatchObject({ isAllowed: true, remaining: 1 });
  });

  it("know each name for itself, and gain nothing from a clock that goes back", () => {
    const buckets = new TokenBuckets({ perSecond: 1, burst: 1 }, { max: 10 });
    expect(buckets.take("a", 10_000).isAllowed).toBe(true);
    expect(buckets.take("b", 10_000).isAllowed).toBe(true);
    expect(buckets.take("a", 10_000).isAllowed).toBe(false);
    expect(buckets.take("a", 5_000).isAllowed).toBe(false);
    expect(buckets.take("a", 10_999).isAllowed).toBe(false);
    expect(buckets.take("a", 11_000).isAllowed).toBe(true);
  });

  it("hold no more names than they may, and forget the one that was quiet longest", () => {
    const buckets = new TokenBuckets({ perSecond: 1, burst: 1 }, { max: 2 });
    for (const name of ["a", "b", "c"]) buckets.take(name, 0);
    expect(buckets.take("b", 0).isAllowed).toBe(false);
    expect(buckets.take("c", 0).isAllowed).toBe(false);
    expect(buckets.take("a", 0).isAllowed).toBe(true);
  });
});
