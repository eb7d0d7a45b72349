import fc from "fast-check";
import { blend } from "./blend.js";

const fusedOf = (scores: readonly number[]) => scores.map((score, i) => ({ score, place: i }));
const placesOf = (scores: readonly number[], logits: readonly number[], weight: number) => blend(fusedOf(scores), logits, weight).map(({ place }) => place);

describe("blend", () => {
  it("adds the weighted logit to the fused score", () => {
    expect(blend(fusedOf([3, 2, 1]), [0, 4, -4], 0.5)).toEqual([
      { place: 1, score: 4, logit: 4 },
      { place: 0, score: 3, logit: 0 },
      { place: 2, score: -1, logit: -4 },
    ]);
  });

  it("keeps the fused order among equals", () => {
    expect(placesOf([1, 1, 1], [2, 2, 2], 0.5)).toEqual([0, 1, 2]);
  });

  it("keeps the fused order throughout at weight 0", () => {
    expect(placesOf([3, 2, 1], [-9, 9, 0], 0)).toEqual([0, 1, 2]);
  });

  const finite = fc.double({ min: -100, max: 100, noNaN: true });
  const cases = fc
    .tuple(fc.array(finite, { minLength: 1, maxLength: 60 }), fc.array(finite, { minLength: 1, maxLength: 30 }), fc.double({ min: 0, max: 10, noNaN: true }))
    .map(([scores, logits, weight]) => ({ scores: scores.sort((a, b) => b - a), logits: logits.slice(0, scores.length), weight }));

  it("never lets a candidate that was not scored pass one that was, nor its betters", () => {
    fc.assert(fc.property(cases, ({ scores, logits, weight }) => {
      const places = placesOf(scores, logits, weight);
      expect([...places].sort((a, b) => a - b)).toEqual(scores.map((_, i) => i));
      const beyond = places.slice(logits.length);
      expect(beyond).toEqual(scores.map((_, i) => i).slice(logits.length));
    }));
  });

  it("gives scores in their order", () => {
    fc.assert(fc.property(cases, ({ scores, logits, weight }) => {
      const blended = blend(fusedOf(scores), logits, weight).map(({ score }) => score);
      expect(blended).toEqual([...blended].sort((a, b) => b - a));
    }));
  });
});
