import { InvalidArgumentError } from "@memseal/errors";
import { DimensionMismatchError } from "./errors.js";
import { VectorMemory } from "./vector-memory.js";

/** Rows of a block but the first: growing copies no more than the first one, however many rows there are. */
const BLOCK_ROWS = 1_024;
const BLOCK_BITS = 10;
/** Of a small tenant's first and only block. */
const FIRST_CAPACITY = 16;
/** Values of a vector. The widest embedders in use have so many. */
export const MAX_DIMENSION = 4_096;

/** Vectors of all tenants together: a memory each would take gigabytes of addresses. A second is made when one is full. */
const memories: VectorMemory[] = [];

interface Block {
  readonly memory: VectorMemory;
  readonly address: number;
  readonly bytes: number;
}

/** Unit vectors by row in blocks of float32; rows are reused after removal. Whoever is done with it calls `zero`. */
export class DenseMatrix {
  readonly #blocks: Block[] = [];
  /** Rows below this have been handed out at least once. */
  #rowEnd = 0;
  readonly #free: number[] = [];

  /** @throws RangeError beyond MAX_DIMENSION */
  constructor(readonly dimension: number) {
    if (dimension > MAX_DIMENSION) throw new RangeError(`vectors have at most ${MAX_DIMENSION} values`);
  }

  /** Every row in use is below this. */
  get rowEnd(): number {
    return this.#rowEnd;
  }

  get bytes(): number {
    return this.#blocks.reduce((sum, { bytes }) => sum + bytes, 0);
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

  /** Stores a unit vector and returns its row. @throws RangeError when memory is used up */
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

  /** A view of the row's values, not a copy; until a row is added to any matrix. */
  row(row: number): Float32Array {
    const { memory, address } = this.#blocks[row >>> BLOCK_BITS];
    return memory.floats(address + (row & (BLOCK_ROWS - 1)) * this.#rowBytes, this.dimension);
  }

  /** Writes each row's cosine with the query, [-1, 1], to `scores` (by row). rows: in use. */
  score(unitQuery: Float32Array, rows: Uint32Array, scores: Float64Array): void {
    const { sorted, starts } = this.#byBlock(rows);
    for (const memory of new Set(this.#blocks.map((block) => block.memory))) {
      memory.withQuery(unitQuery, (dots) => {
        for (const [at, block] of this.#blocks.entries()) {
          if (block.memory !== memory || starts[at] === starts[at + 1]) continue;
          const products = dots(block.address, sorted.subarray(starts[at], starts[at + 1]));
          const first = at << BLOCK_BITS;
          for (let i = 0; i < products.length; i++) scores[first + sorted[starts[at] + i]] = Math.max(-1, Math.min(1, products[i]));
        }
      });
    }
  }

  /** Forgets every row, overwrites the values and gives their memory back. */
  zero(): void {
    for (const { memory, address, bytes } of this.#blocks) memory.free(address, bytes);
    this.#blocks.length = 0;
    this.#rowEnd = 0;
    this.#free.length = 0;
  }

  get #rowBytes(): number {
    return 4 * this.dimension;
  }

  /** The rows block after block, each as its number in the block, and where each block's begin; one more at the end. */
  #byBlock(rows: Uint32Array): { sorted: Uint32Array; starts: Uint32Array } {
    const starts = new Uint32Array(this.#blocks.length + 1);
    for (let i = 0; i < rows.length; i++) starts[(rows[i] >>> BLOCK_BITS) + 1]++;
    for (let at = 1; at < starts.length; at++) starts[at] += starts[at - 1];
    const next = starts.slice();
    const sorted = new Uint32Array(rows.length);
    for (let i = 0; i < rows.length; i++) sorted[next[rows[i] >>> BLOCK_BITS]++] = rows[i] & (BLOCK_ROWS - 1);
    return { sorted, starts };
  }

  #newRow(): number {
    const row = this.#rowEnd;
    const last = this.#blocks.at(-1);
    const capacity = last === undefined ? 0 : (this.#blocks.length - 1) * BLOCK_ROWS + last.bytes / this.#rowBytes;
    if (row >= capacity) {
      if (last !== undefined && last.bytes < BLOCK_ROWS * this.#rowBytes) this.#growFirst(last);
      else this.#blocks.push(allocate((last === undefined ? FIRST_CAPACITY : BLOCK_ROWS) * this.#rowBytes));
    }
    return this.#rowEnd++;
  }

  /** Only a first block is ever smaller than a whole one. */
  #growFirst({ memory, address, bytes }: Block): void {
    const grown = allocate(2 * bytes);
    grown.memory.floats(grown.address, bytes / 4).set(memory.floats(address, bytes / 4));
    memory.free(address, bytes);
    this.#blocks[0] = grown;
  }
}

function allocate(bytes: number): Block {
  for (const memory of memories) {
    const address = memory.allocate(bytes);
    if (address !== undefined) return { memory, address, bytes };
  }
  const memory = new VectorMemory({ maxDimension: MAX_DIMENSION, maxRows: BLOCK_ROWS });
  const address = memory.allocate(bytes);
  if (address === undefined) throw new RangeError("no memory is left for vectors");
  memories.push(memory);
  return { memory, address, bytes };
}
