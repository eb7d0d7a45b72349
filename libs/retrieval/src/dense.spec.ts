import { InvalidArgumentError } from "@memseal/errors";
import { DenseMatrix, MAX_DIMENSION } from "./dense.js";
import { DimensionMismatchError } from "./errors.js";

function matrixOf(...vectors: number[][]): DenseMatrix {
  const matrix = new DenseMatrix(vectors[0].length);
  for (const vector of vectors) matrix.add(matrix.unit(Float32Array.from(vector)));
  return matrix;
}

function cosines(matrix: DenseMatrix, query: number[], rows: number[]): number[] {
  const scores = new Float64Array(matrix.rowEnd);
  matrix.score(matrix.unit(Float32Array.from(query)), Uint32Array.from(rows), scores);
  return [...scores];
}

describe("DenseMatrix", () => {
  it("gives the cosine, whatever the lengths", () => {
    const [same, right, opposite, diagonal] = cosines(
      matrixOf([2, 0, 0, 0, 0], [0, 0, 0, 0, 5], [-1e-20, 0, 0, 0, 0], [1e30, 0, 0, 0, 1e30]),
      [3, 0, 0, 0, 0],
      [0, 1, 2, 3],
    );
    expect([same, right, opposite]).toEqual([1, 0, -1]);
    expect(diagonal).toBeCloseTo(Math.SQRT1_2, 7);
  });

  it("scores only the rows it is asked for", () => {
    expect(cosines(matrixOf([1], [1], [1]), [1], [1])).toEqual([0, 1, 0]);
  });

  it("reuses a removed row, whose values are gone at once", () => {
    const matrix = matrixOf([1, 0], [0, 1]);
    const removed = matrix.row(0);
    matrix.remove(0);
    expect([...removed]).toEqual([0, 0]);
    expect(matrix.add(matrix.unit(Float32Array.of(0, 1)))).toBe(0);
    expect(matrix.rowEnd).toBe(2);
  });

  it("keeps its rows when it grows", () => {
    const matrix = matrixOf(...Array.from({ length: 100 }, (_, at) => [at + 1, 1]));
    expect(cosines(matrix, [1, 1], [0])[0]).toBeCloseTo(1, 6);
    expect(matrix.rowEnd).toBe(100);
  });

  it("leaves nothing in its memory, nor in the memory it has outgrown, and gives it back", () => {
    const fill = (): { matrix: DenseMatrix; addresses: number[] } => {
      const matrix = new DenseMatrix(2);
      const addresses: number[] = [];
      for (let row = 0; row < 2_000; row++) {
        matrix.add(matrix.unit(Float32Array.of(1, row + 1)));
        addresses.push(matrix.row(row).byteOffset);
      }
      return { matrix, addresses };
    };
    const { matrix, addresses } = fill();
    const { buffer } = matrix.row(0);
    expect(new Float32Array(buffer, addresses.at(-1)).some((value) => value !== 0)).toBe(true);
    matrix.zero();
    for (const address of addresses) expect([...new Float32Array(buffer, address, 2)]).toEqual([0, 0]);
    expect(matrix.bytes).toBe(0);
    expect(matrix.rowEnd).toBe(0);
    // The next one lies where this one lay.
    const next = fill();
    expect(next.addresses).toEqual(addresses);
    next.matrix.zero();
  });

  it("scores rows of several blocks in any order", () => {
    const matrix = matrixOf(...Array.from({ length: 2_500 }, (_, at) => [Math.cos(at), Math.sin(at)]));
    const rows = [2_400, 3, 1_024, 1_023, 2_047, 2_048];
    const scores = cosines(matrix, [1, 0], rows);
    for (const [row, score] of scores.entries()) expect(score).toBeCloseTo(rows.includes(row) ? Math.cos(row) : 0, 6);
    matrix.zero();
  });

  it("refuses more values a vector than a search has room for", () => {
    expect(() => new DenseMatrix(MAX_DIMENSION + 1)).toThrow(RangeError);
  });

  it("refuses a vector without direction, one that is not finite and one of another dimension", () => {
    const matrix = new DenseMatrix(2);
    expect(() => matrix.unit(Float32Array.of(0, -0))).toThrow(InvalidArgumentError);
    expect(() => matrix.unit(Float32Array.of(1, NaN))).toThrow(InvalidArgumentError);
    expect(() => matrix.unit(Float32Array.of(1, Infinity))).toThrow(InvalidArgumentError);
    expect(() => matrix.unit(Float32Array.of(1))).toThrow(DimensionMismatchError);
  });
});
