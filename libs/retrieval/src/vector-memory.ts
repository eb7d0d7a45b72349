import { FreeRanges } from "./free-ranges.js";
import { DOT_KERNEL } from "./generated/dot-kernel.js";

const PAGE_BYTES = 65_536;
/** It grows by at least so much. */
const GROWTH_PAGES = 256;
/** 2 GiB: what an address of the kernel, 32 bits, reaches with room to spare. */
const MAX_PAGES = 32_768;
/** Addresses and sizes are multiples of this: loads of 16 bytes that do not cross a cache line. */
const ALIGNMENT = 64;

/** Computes the dot products of `rowCount` vectors of a block with the query; all but numbers are addresses. */
export type Dots = (query: number, block: number, rows: number, rowCount: number, dimension: number, products: number) => void;

/** Most values of a vector and most vectors of a block. */
export interface VectorMemoryOptions {
  maxDimension: number;
  maxRows: number;
}

/** A memory of WebAssembly that vectors lie in, so that the kernel need not copy them. What is given back is zero. */
export class VectorMemory {
  readonly #memory: WebAssembly.Memory;
  readonly #free = new FreeRanges();
  readonly #dots: Dots;
  // A query, the rows it is compared with and the products lie first, so that a full memory can still be searched.
  readonly #rowsAt: number;
  readonly #productsAt: number;
  readonly #blocksAt: number;

  /** dotsOf: makes the computation for a memory. */
  constructor({ maxDimension, maxRows }: VectorMemoryOptions, dotsOf: (memory: WebAssembly.Memory) => Dots = loadDots) {
    this.#rowsAt = aligned(4 * maxDimension);
    this.#productsAt = this.#rowsAt + aligned(4 * maxRows);
    this.#blocksAt = this.#productsAt + aligned(8 * maxRows);
    const initial = Math.ceil(this.#blocksAt / PAGE_BYTES);
    this.#memory = new WebAssembly.Memory({ initial, maximum: MAX_PAGES });
    this.#free.giveBack(this.#blocksAt, initial * PAGE_BYTES - this.#blocksAt);
    this.#dots = dotsOf(this.#memory);
  }

  /** The address of so many bytes, all zero; undefined where the memory is full. */
  allocate(bytes: number): number | undefined {
    const size = aligned(bytes);
    return this.#free.take(size) ?? (this.#grow(size) ? this.#free.take(size) : undefined);
  }

  /** Overwrites what `allocate` gave. */
  free(address: number, bytes: number): void {
    const size = aligned(bytes);
    new Uint8Array(this.#memory.buffer, address, size).fill(0);
    this.#free.giveBack(address, size);
  }

  /** A view of so many values, until something is allocated. */
  floats(address: number, length: number): Float32Array {
    return new Float32Array(this.#memory.buffer, address, length);
  }

  /**
   * Runs `use` with a function that gives the dot products of some vectors of a block with the query, in that order: a view,
   * until the next call. Afterwards nothing of query and products is left here. `use` allocates nothing.
   */
  withQuery<T>(query: Float32Array, use: (dots: (block: number, rows: Uint32Array) => Float64Array) => T): T {
    this.floats(0, query.length).set(query);
    try {
      return use((block, rows) => {
        new Uint32Array(this.#memory.buffer, this.#rowsAt, rows.length).set(rows);
        this.#dots(0, block, this.#rowsAt, rows.length, query.length, this.#productsAt);
        return new Float64Array(this.#memory.buffer, this.#productsAt, rows.length);
      });
    } finally {
      new Uint8Array(this.#memory.buffer, 0, this.#blocksAt).fill(0);
    }
  }

  /** Whether every byte is zero. */
  get isClear(): boolean {
    return new Uint8Array(this.#memory.buffer).every((byte) => byte === 0);
  }

  /** False where so much more does not fit. */
  #grow(bytes: number): boolean {
    const pages = Math.max(GROWTH_PAGES, Math.ceil(bytes / PAGE_BYTES));
    const before = this.#memory.buffer.byteLength;
    if (before / PAGE_BYTES + pages > MAX_PAGES) return false;
    try {
      this.#memory.grow(pages);
    } catch (error) {
      // The machine has no more.
      if (error instanceof RangeError) return false;
      throw error;
    }
    this.#free.giveBack(before, pages * PAGE_BYTES);
    return true;
  }
}

/** With SIMD; in JavaScript, some four times as slow, where this machine has none in WebAssembly. */
function loadDots(memory: WebAssembly.Memory): Dots {
  try {
    const module = new WebAssembly.Module(Buffer.from(DOT_KERNEL, "base64"));
    return (new WebAssembly.Instance(module, { env: { memory } }).exports as { dots: Dots }).dots;
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return dotsInJavaScript(memory);
    throw error;
  }
}

/** The same sums as the kernel's but in double precision. */
export function dotsInJavaScript(memory: WebAssembly.Memory): Dots {
  return (queryAt, blockAt, rowsAt, rowCount, dimension, productsAt) => {
    const values = new Float32Array(memory.buffer);
    const rows = new Uint32Array(memory.buffer, rowsAt, rowCount);
    const products = new Float64Array(memory.buffer, productsAt, rowCount);
    // A conversion less for each product.
    const query = Float64Array.from(values.subarray(queryAt / 4, queryAt / 4 + dimension));
    const unrolled = dimension - (dimension % 4);
    for (let i = 0; i < rowCount; i++) {
      const start = blockAt / 4 + rows[i] * dimension;
      let a = 0, b = 0, c = 0, d = 0;
      // Four sums: the processor need not wait for one addition to start the next.
      for (let at = 0; at < unrolled; at += 4) {
        const from = start + at;
        a += query[at] * values[from];
        b += query[at + 1] * values[from + 1];
        c += query[at + 2] * values[from + 2];
        d += query[at + 3] * values[from + 3];
      }
      for (let at = unrolled; at < dimension; at++) a += query[at] * values[start + at];
      products[i] = a + b + (c + d);
    }
  };
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
