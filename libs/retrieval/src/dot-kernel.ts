import { DOT_KERNEL } from "./generated/dot-kernel.js";

const PAGE_BYTES = 65_536;
/** Addresses of vectors are multiples of this: loads of 16 bytes that do not cross a cache line. */
const ALIGNMENT = 64;

interface Exports {
  dots(query: number, rows: number, rowCount: number, dimension: number, scores: number): void;
}

/**
 * Dot products in WebAssembly with SIMD: some four times as fast as JavaScript. Vectors are copied to its memory block by
 * block, and are gone from it after each search.
 */
export class DotKernel {
  readonly #memory = new WebAssembly.Memory({ initial: 1 });
  readonly #exports: Exports;
  #queryBytes = 0;
  #usedBytes = 0;

  private constructor() {
    const module = new WebAssembly.Module(Buffer.from(DOT_KERNEL, "base64"));
    this.#exports = new WebAssembly.Instance(module, { env: { memory: this.#memory } }).exports as Exports;
  }

  /** Undefined where this machine has no SIMD in WebAssembly. */
  static load(): DotKernel | undefined {
    try {
      return new DotKernel();
    } catch (error) {
      if (error instanceof WebAssembly.CompileError) return undefined;
      throw error;
    }
  }

  /** Takes the query that `scores` are with, until `wipe`. */
  begin(query: Float32Array): void {
    this.#queryBytes = aligned(query.byteLength);
    this.#reserve(this.#queryBytes);
    new Float32Array(this.#memory.buffer, 0, query.length).set(query);
  }

  /** Dot products of the query with each of so many rows, which lie one after the other. A view that the next call overwrites. */
  scores(rows: Float32Array, rowCount: number, dimension: number): Float64Array {
    const scoresAt = this.#queryBytes + aligned(rows.byteLength);
    this.#reserve(scoresAt + 8 * rowCount);
    new Float32Array(this.#memory.buffer, this.#queryBytes, rows.length).set(rows);
    this.#exports.dots(0, this.#queryBytes, rowCount, dimension, scoresAt);
    return new Float64Array(this.#memory.buffer, scoresAt, rowCount);
  }

  /** Overwrites everything that was copied here. */
  wipe(): void {
    new Uint8Array(this.#memory.buffer, 0, this.#usedBytes).fill(0);
    this.#usedBytes = 0;
  }

  /** Whether nothing of any search is left here. */
  get isClear(): boolean {
    return new Uint8Array(this.#memory.buffer).every((byte) => byte === 0);
  }

  #reserve(bytes: number): void {
    this.#usedBytes = Math.max(this.#usedBytes, bytes);
    const missing = bytes - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE_BYTES));
  }
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
