import { bootstrap } from "./bootstrap.js";

describe("bootstrap", () => {
  it("is the mean with the interval that theory gives", () => {
    // 400 questions, 30% right: standard error sqrt(.3 * .7 / 400) = .0229.
    const { mean, low, high } = bootstrap(Array.from({ length: 400 }, (_, i) => Number(i % 10 < 3)));
    expect(mean).toBeCloseTo(0.3, 12);
    expect(low).toBeCloseTo(0.3 - 1.96 * 0.0229, 2);
    expect(high).toBeCloseTo(0.3 + 1.96 * 0.0229, 2);
  });

  it("is as wide as its values, and the same each time", () => {
    expect(bootstrap([0.5, 0.5, 0.5])).toEqual({ mean: 0.5, low: 0.5, high: 0.5 });
    expect(bootstrap([0, 1, 1, 0, 1])).toEqual(bootstrap([0, 1, 1, 0, 1]));
  });

  it("sees a small gain that each question has, which intervals of the means alone would not", () => {
    const before = Array.from({ length: 200 }, (_, i) => (i % 100) / 100);
    const after = before.map((value, i) => value + (i % 3) / 100);
    expect(bootstrap(after).low).toBeLessThan(bootstrap(before).high);
    expect(bootstrap(after.map((value, i) => value - before[i])).low).toBeGreaterThan(0);
  });
});
