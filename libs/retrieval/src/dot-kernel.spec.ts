import fc from "fast-check";
import { DotKernel } from "./dot-kernel.js";

const kernel = DotKernel.load()!;

function unit(values: number[]): Float32Array {
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return Float32Array.from(values, (value) => value / length);
}

describe("DotKernel", () => {
  it("gives the dot products that double precision gives, for any dimension and number of rows", () => {
    const vectors = fc.integer({ min: 1, max: 70 }).chain((dimension) => {
      const direction = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: dimension, maxLength: dimension }).filter((values) => values.some((value) => Math.abs(value) > 1e-3));
      return fc.record({ query: direction, rows: fc.array(direction, { maxLength: 20 }) });
    });
    fc.assert(fc.property(vectors, ({ query, rows }) => {
      const [unitQuery, unitRows] = [unit(query), rows.map(unit)];
      const expected = unitRows.map((row) => row.reduce((sum, value, at) => sum + value * unitQuery[at], 0));
      const flat = Float32Array.from(unitRows.flatMap((row) => [...row]));
      const scores = kernel.run(unitQuery, (dots) => [...dots(flat, rows.length)]);
      expect(scores).toHaveLength(rows.length);
      scores.forEach((score, at) => { expect(Math.abs(score - expected[at])).toBeLessThan(1e-7); });
    }));
  });

  it("leaves nothing of query, rows and scores in its memory, also where it grew in between", () => {
    for (const rowCount of [3, 2_000, 5]) {
      const seen = kernel.run(new Float32Array(384).fill(0.05), (dots) => {
        dots(new Float32Array(rowCount * 384).fill(0.05), rowCount);
        return kernel.isClear;
      });
      expect([seen, kernel.isClear]).toEqual([false, true]);
    }
    expect(() => kernel.run(new Float32Array(16).fill(1), () => { throw new Error("stop"); })).toThrow("stop");
    expect(kernel.isClear).toBe(true);
  });
});
