import fc from "fast-check";
import { dotsInJavaScript, VectorMemory } from "./vector-memory.js";

const OPTIONS = { maxDimension: 400, maxRows: 1_024 };

function unit(values: number[]): Float32Array {
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return Float32Array.from(values, (value) => value / length);
}

describe.each([["the kernel", undefined], ["plain JavaScript", dotsInJavaScript]])("VectorMemory with %s", (_name, dotsOf) => {
  it("gives the dot products that double precision gives, for any dimension and any rows", () => {
    const vectors = fc.integer({ min: 1, max: 70 }).chain((dimension) => {
      const direction = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: dimension, maxLength: dimension }).filter((values) => values.some((value) => Math.abs(value) > 1e-3));
      return fc.record({ query: direction, block: fc.array(direction, { minLength: 1, maxLength: 20 }), wanted: fc.array(fc.nat(), { maxLength: 30 }) });
    });
    const memory = new VectorMemory(OPTIONS, dotsOf);
    fc.assert(fc.property(vectors, ({ query, block, wanted }) => {
      const [unitQuery, units] = [unit(query), block.map(unit)];
      const rows = Uint32Array.from(wanted, (row) => row % units.length);
      const expected = Array.from(rows, (row) => units[row].reduce((sum, value, at) => sum + value * unitQuery[at], 0));
      const flat = Float32Array.from(units.flatMap((row) => [...row]));
      const address = memory.allocate(flat.byteLength)!;
      memory.floats(address, flat.length).set(flat);
      const products = memory.withQuery(unitQuery, (dots) => [...dots(address, rows)]);
      memory.free(address, flat.byteLength);
      expect(products).toHaveLength(rows.length);
      products.forEach((product, at) => { expect(Math.abs(product - expected[at])).toBeLessThan(1e-7); });
    }));
    expect(memory.isClear).toBe(true);
  });

  it("leaves nothing of a query and its products, nor of what is given back", () => {
    const memory = new VectorMemory(OPTIONS, dotsOf);
    const query = new Float32Array(384).fill(0.05);
    const block = memory.allocate(2_000 * query.byteLength)!;
    const seen = memory.withQuery(query, (dots) => {
      dots(block, Uint32Array.of(0, 1_999));
      return memory.isClear;
    });
    expect([seen, memory.isClear]).toEqual([false, true]);
    expect(() => memory.withQuery(query, () => { throw new Error("stop"); })).toThrow("stop");
    expect(memory.isClear).toBe(true);
    memory.floats(block, 5).fill(1);
    expect(memory.isClear).toBe(false);
    memory.free(block, 2_000 * query.byteLength);
    expect(memory.isClear).toBe(true);
  });

  it("keeps what lies in it while it grows, and takes again what was given back", () => {
    const memory = new VectorMemory(OPTIONS, dotsOf);
    const first = memory.allocate(100)!;
    memory.floats(first, 25).fill(7);
    const large = memory.allocate(50_000_000)!;
    expect([...memory.floats(first, 25)]).toEqual(new Array(25).fill(7));
    memory.free(large, 50_000_000);
    expect(memory.allocate(50_000_000)).toBe(large);
  });

  it("says that it is full, and can be searched all the same", () => {
    const memory = new VectorMemory(OPTIONS, dotsOf);
    const block = memory.allocate(4)!;
    memory.floats(block, 1)[0] = 0.5;
    expect(memory.allocate(2 ** 31)).toBeUndefined();
    expect(memory.withQuery(Float32Array.of(1), (dots) => [...dots(block, Uint32Array.of(0))])).toEqual([0.5]);
  });
});
