import fc from "fast-check";
import { ranksAmong } from "./ranks.js";
import { topK } from "./top-k.js";

const scores = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 40 });

describe("topK", () => {
  it("is the start of the whole list sorted", () => {
    fc.assert(
      fc.property(scores, fc.nat(50), (values, k) => {
        const before = (a: number, b: number): boolean => (values[a] === values[b] ? a < b : values[a] > values[b]);
        const sorted = values.map((_, at) => at).sort((a, b) => (before(a, b) ? -1 : 1));
        expect(topK(values.length, k, before)).toEqual(sorted.slice(0, k));
      }),
    );
  });
});

describe("ranksAmong", () => {
  it("is one more than how many scores are greater", () => {
    fc.assert(
      fc.property(scores, scores, (all, values) => {
        const expected = values.map((value) => 1 + all.filter((score) => score > value).length);
        expect(ranksAmong(Float64Array.from(all), values)).toEqual(expected);
      }),
    );
  });
});
