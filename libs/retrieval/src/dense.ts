import { InvalidArgumentError } from "@memseal/errors";
import { DotKernel } from "./dot-kernel.js";
import { DimensionMismatchError } from "./errors.js";

/** Rows of a block but the first: growing copies no more than the first one, however many rows there are. */
const BLOCK_ROWS = 1_024;
const BLOCK_BITS = 10;
/** How much faster the kernel scores a row, copied, than plain JavaScript does. */
const KERNEL_SPEED = 4;
const kernel = DotKernel.load();
/** Of a small tenant's first and only block. */
const FIRST_CAPACITY = 16;

/** Unit vectors by row in blocks of float32; rows are reused after removal. */
export class DenseMatrix {
  readonly #blocks: Float32Array[] = [];
  /** Rows below this have been handed out at least once. */
  #rowEnd = 0;
  readonly #free: number[] = [];

  constructor(readonly dimension: number) {}

  /** Every row in use is below this. */
  get rowEnd(): number {
    return this.#rowEnd;
  }

  get bytes(): number {
    return this.#blocks.reduce((sum, block) => sum + block.byteLength, 0);
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
    const row = this.#free.pop() ?? this.#newRow();
    this.row(row).set(unitVector);
    return row;
  }

  /** row: in use. Its values are overwritten at once. */
  remove(row: number): void {
    this.row(row).fill(0);
    this.#free.push(row);
  }

  /** A view of the row's values, not a copy. */
  row(row: number): Float32Array {
    const start = (row & (BLOCK_ROWS - 1)) * this.dimension;
    return this.#blocks[row >>> BLOCK_BITS].subarray(start, start + this.dimension);
  }

  /** Writes each row's cosine with the query, [-1, 1], to `scores` (by row). rows: in use. */
  score(unitQuery: Float32Array, rows: Uint32Array, scores: Float64Array): void {
    const wholeBlocks = kernel && this.#scoreWholeBlocks(kernel, unitQuery, rows);
    // In double precision from the start: a conversion less for each product.
    const query = Float64Array.from(unitQuery);
    for (const row of rows) {
      const blockScores = wholeBlocks?.[row >>> BLOCK_BITS];
      const dot = blockScores === undefined ? this.#dot(query, row) : blockScores[row & (BLOCK_ROWS - 1)];
      scores[row] = Math.max(-1, Math.min(1, dot));
    }
  }

  /** Forgets every row and overwrites the values. */
  zero(): void {
    for (const block of this.#blocks) block.fill(0);
    this.#blocks.length = 0;
    this.#rowEnd = 0;
    this.#free.length = 0;
  }

  /** By block the scores of all its rows, where so many of them are wanted that scoring all is faster. */
  #scoreWholeBlocks(dotKernel: DotKernel, unitQuery: Float32Array, rows: Uint32Array): (Float64Array | undefined)[] {
    const wanted = new Uint32Array(this.#blocks.length);
    for (const row of rows) wanted[row >>> BLOCK_BITS]++;
    return dotKernel.run(unitQuery, (dots) => this.#blocks.map((block, at) => {
      const rowCount = block.length / this.dimension;
      return wanted[at] * KERNEL_SPEED < rowCount ? undefined : dots(block, rowCount);
    }));
  }

  #dot(query: Float64Array, row: number): number {
    const values = this.#blocks[row >>> BLOCK_BITS];
    const start = (row & (BLOCK_ROWS - 1)) * this.dimension;
    const unrolled = query.length - (query.length % 4);
    let a = 0, b = 0, c = 0, d = 0;
    // Four sums: the processor need not wait for one addition to start the next.
    for (let at = 0; at < unrolled; at += 4) {
      const from = start + at;
      a += query[at] * values[from];
      b += query[at + 1] * values[from + 1];
      c += query[at + 2] * values[from + 2];
      d += query[at + 3] * values[from + 3];
    }
    for (let at = unrolled; at < query.length; at++) a += query[at] * values[start + at];
    return a + b + (c + d);
  }

  #newRow(): number {
    const row = this.#rowEnd++;
    const last = this.#blocks.at(-1);
    const capacity = last === undefined ? 0 : (this.#blocks.length - 1) * BLOCK_ROWS + last.length / this.dimension;
    if (row < capacity) return row;
    if (last !== undefined && last.length < BLOCK_ROWS * this.dimension) this.#growFirst(last);
    else this.#blocks.push(new Float32Array((last === undefined ? FIRST_CAPACITY : BLOCK_ROWS) * this.dimension));
    return row;
  }

  /** Only a first block is ever smaller than a whole one. */
  #growFirst(block: Float32Array): void {
    const grown = new Float32Array(2 * block.length);
    grown.set(block);
    block.fill(0);
    this.#blocks[0] = grown;
  }
}
