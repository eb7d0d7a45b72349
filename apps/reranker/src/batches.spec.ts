import fc from "fast-check";
import { batchesOf } from "./batches.js";

describe("batchesOf", () => {
  it("gives each sequence once, in batches within the budget, or alone", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 2, max: 256 })), fc.integer({ min: 0, max: 2_000 }), (lengths, maxTokens) => {
        const batches = batchesOf(lengths, maxTokens);
        expect(batches.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
        for (const batch of batches) {
          const longest = Math.max(...batch.map((i) => lengths[i] ?? 0));
          expect(batch.length === 1 || batch.length * longest <= maxTokens).toBe(true);
        }
      }),
    );
  });

  it("puts like lengths together and fills what the budget takes", () => {
    expect(batchesOf([100, 10, 100, 10, 10], 200)).toEqual([[1, 3, 4], [0, 2]]);
    expect(batchesOf([10, 20, 30], 0)).toEqual([[0], [1], [2]]);
    expect(batchesOf([], 100)).toEqual([]);
  });
});
