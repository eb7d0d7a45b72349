import { fuse, type ContextualScores } from "./fusion.js";

const alone = (...scores: number[]): ContextualScores => ({ scores: Float64Array.from(scores), lent: undefined });
const fused = (parts: ContextualScores[], rows: Uint32Array): number[] => [...fuse(parts, rows, parts[0].scores.length).fused];

const ALL = Uint32Array.of(0, 1, 2, 3);

describe("fuse", () => {
  it("adds the z-scores of both parts", () => {
    // BM25: mean 1, deviation 1; dense: mean 0.5, deviation 0.5.
    expect(fused([alone(0, 2, 0, 2), alone(0, 1, 1, 0)], ALL)).toEqual([-2, 2, 0, 0]);
  });

  it("is the z-score of the one part where there is no other", () => {
    expect(fused([alone(0, 2, 0, 2)], ALL)).toEqual([-1, 1, -1, 1]);
  });

  it("takes mean and deviation over the given rows only", () => {
    expect(fused([alone(1, 900, 3, -900)], Uint32Array.of(0, 2))).toEqual([-1, 0, 1, 0]);
  });

  it("lets a part that is the same for all rows add nothing, rounding included", () => {
    const level = alone(0.3, 0.3 + 1e-8, 0.3 - 1e-8, 0.3);
    expect(fused([alone(0, 2, 0, 2), level], ALL)).toEqual([-1, 1, -1, 1]);
    expect(fused([level], ALL)).toEqual([0, 0, 0, 0]);
  });

  it("says how much of a score was lent, in units of the score", () => {
    const lent = { scores: Float64Array.of(0, 2, 0, 2), lent: Float64Array.of(0, 1, 0, 0) };
    expect([...fuse([lent], ALL, 4).context!]).toEqual([0, 1, 0, 0]);
    expect([...fuse([lent, { scores: Float64Array.of(0, 1, 1, 0), lent: Float64Array.of(0, 0.5, 0, 0) }], ALL, 4).context!]).toEqual([0, 2, 0, 0]);
  });

  it("has an answer for one row and for none", () => {
    expect(fused([alone(7), alone(1)], Uint32Array.of(0))).toEqual([0]);
    expect(fused([alone()], new Uint32Array(0))).toEqual([]);
  });
});
