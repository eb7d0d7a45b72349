import { InvalidArgumentError } from "@memseal/errors";
import { DimensionMismatchError } from "./errors.js";

const FIRST_CAPACITY = 16;

/** Unit vectors by row in one block of float32; rows are reused after removal. */
export class DenseMatrix {
  #values = new Float32Array(0);
  /** Rows below this have been handed out at least once. */
  #rowEnd = 0;
  readonly #free: number[] = [];

  constructor(readonly dimension: number) {}

  /** Every row in use is below this. */
  get rowEnd(): number {
    return this.#rowEnd;
  }

  get bytes(): number {
    return this.#values.byteLength;
  }

  /**
   * The vector scaled to length 1, as a copy; `add` and `score` take only these.
   * @throws DimensionMismatchError, or InvalidArgumentError for values that are not finite and for the zero vector,
   * which has no direction
   */
  unit(vector: Float32Array): Float32Array {
    if (vector.length !== this.dimension) throw new DimensionMismatchError(this.dimension, vector.length);
    let squares = 0;
    for (const value of vector) squares += value * value;
    if (!Number.isFinite(squares)) throw new InvalidArgumentError("vector", "every value must be finite");
    if (squares === 0) throw new InvalidArgumentError("vector", "must not be the zero vector");
    const length = Math.sqrt(squares);
    return vector.map((value) => value / length);
  }

  /** Stores a unit vector and returns its row. */
  add(unitVector: Float32Array): number {
    const row = this.#free.pop() ?? this.#rowEnd++;
    if (this.#rowEnd * this.dimension > this.#values.length) this.#grow();
    this.#values.set(unitVector, row * this.dimension);
    return row;
  }

  /** row: in use. Its values are overwritten at once. */
  remove(row: number): void {
    this.row(row).fill(0);
    this.#free.push(row);
  }

  /** A view of the row's values, not a copy. */
  row(row: number): Float32Array {
    return this.#values.subarray(row * this.dimension, (row + 1) * this.dimension);
  }

  /** Writes each row's cosine with the query, [-1, 1], to `scores` (by row). rows: in use. */
  score(unitQuery: Float32Array, rows: Uint32Array, scores: Float64Array): void {
    const values = this.#values;
    const dimension = this.dimension;
    const unrolled = dimension - (dimension % 4);
    for (const row of rows) {
      const start = row * dimension;
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      // Four sums in double precision: the processor need not wait for one addition to start the next.
      for (let at = 0; at < unrolled; at += 4) {
        const from = start + at;
        a += unitQuery[at] * values[from];
        b += unitQuery[at + 1] * values[from + 1];
        c += unitQuery[at + 2] * values[from + 2];
        d += unitQuery[at + 3] * values[from + 3];
      }
      for (let at = unrolled; at < dimension; at++) a += unitQuery[at] * values[start + at];
      scores[row] = Math.max(-1, Math.min(1, a + b + (c + d)));
    }
  }

  /** Forgets every row and overwrites the values. */
  zero(): void {
    this.#values.fill(0);
    this.#values = new Float32Array(0);
    this.#rowEnd = 0;
    this.#free.length = 0;
  }

  #grow(): void {
    const grown = new Float32Array(Math.max(FIRST_CAPACITY * this.dimension, 2 * this.#values.length));
    grown.set(this.#values);
    this.#values.fill(0);
    this.#values = grown;
  }
}
