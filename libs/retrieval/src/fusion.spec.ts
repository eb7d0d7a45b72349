import { fuse } from "./fusion.js";

const ALL = Uint32Array.of(0, 1, 2, 3);

describe("fuse", () => {
  it("adds the z-scores of both parts", () => {
    // BM25: mean 1, deviation 1; dense: mean 0.5, deviation 0.5.
    const fused = fuse(Float64Array.of(0, 2, 0, 2), Float64Array.of(0, 1, 1, 0), ALL);
    expect([...fused]).toEqual([-2, 2, 0, 0]);
  });

  it("is the z-score of BM25 alone where there is no vector", () => {
    expect([...fuse(Float64Array.of(0, 2, 0, 2), undefined, ALL)]).toEqual([-1, 1, -1, 1]);
  });

  it("takes mean and deviation over the given rows only", () => {
    expect([...fuse(Float64Array.of(1, 900, 3, -900), undefined, Uint32Array.of(0, 2))]).toEqual([-1, 0, 1, 0]);
  });

  it("lets a part that is the same for all rows add nothing, rounding included", () => {
    const level = Float64Array.of(0.3, 0.3 + 1e-8, 0.3 - 1e-8, 0.3);
    expect([...fuse(Float64Array.of(0, 2, 0, 2), level, ALL)]).toEqual([-1, 1, -1, 1]);
    expect([...fuse(level, undefined, ALL)]).toEqual([0, 0, 0, 0]);
  });

  it("has an answer for one row and for none", () => {
    expect([...fuse(Float64Array.of(7), Float64Array.of(1), Uint32Array.of(0))]).toEqual([0]);
    expect([...fuse(new Float64Array(0), undefined, new Uint32Array(0))]).toEqual([]);
  });
});
