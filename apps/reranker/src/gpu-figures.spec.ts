import { passes } from "@memseal/evidence";
import { gpuFigures, type Measured } from "./gpu-figures.js";

const good: Measured = { model: "ms-marco-MiniLM-L6-v2", provider: "cuda", p95Ms: [5, 149.9, 7], throughput: new Map([[1, 4_000], [16, 9_000]]) };
const figures = (change: Partial<Measured> = {}) => gpuFigures({ ...good, ...change }, "24 x 128 tokens");

describe("an approval on a GPU", () => {
  it("passes on cuda, by the median of rounds, and tells each round", () => {
    expect(passes(figures())).toBe(true);
    expect(figures()[1]).toMatchObject({ value: 7, unit: "ms", details: ["round 1: 5.000 ms", "round 2: 149.9 ms", "round 3: 7.000 ms"] });
  });

  it("fails on a CPU, however fast", () => {
    expect(passes(figures({ provider: "cpu", p95Ms: [1] }))).toBe(false);
  });

  it.each([[149.999, true], [150, false], [NaN, false], [900, false]])("with a p95 of %d ms: passes %s", (ms, passed) => {
    expect(passes(figures({ p95Ms: [ms] }))).toBe(passed);
  });

  it("fails where nothing was measured", () => {
    expect(passes(figures({ p95Ms: [] }))).toBe(false);
  });
});
