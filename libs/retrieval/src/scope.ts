import type { Fields } from "./filter.js";

export interface StoredChunk {
  /** In the dense matrix and the postings. */
  row: number;
  start: number;
  end: number;
}

export interface StoredMemory {
  id: string;
  rowVersion: number;
  fields: Fields;
  fieldBytes: number;
  leftOut: readonly string[];
  position: number | undefined;
  chunks: readonly StoredChunk[];
  /** In its run. */
  previous: StoredMemory | undefined;
  next: StoredMemory | undefined;
}

/** No neighbour: the chunk is not the first or last of its memory, the memory is of its run, or the one beside it does not pass. */
export const NONE = -1;

/** What a search looks at: the memories that pass, and the rows of their chunks. */
export interface Scope {
  readonly memories: readonly StoredMemory[];
  /** Memory after memory. */
  readonly rows: Uint32Array;
  /** By memory: where its rows begin in `rows`; one more at the end. */
  readonly starts: Uint32Array;
  /** By row, two of them each: the rows before and after it, in other memories of its run. Absent where no row has any. */
  readonly neighbours: Int32Array | undefined;
  /** Whether a memory of more than one chunk is among them. */
  readonly hasLongMemories: boolean;
}

/** rowEnd: every row is below. */
export function scopeOf(memories: readonly StoredMemory[], rowEnd: number): Scope {
  const starts = new Uint32Array(memories.length + 1);
  memories.forEach(({ chunks }, at) => { starts[at + 1] = starts[at] + chunks.length; });
  const rows = new Uint32Array(starts[memories.length]);
  let next = 0;
  for (const { chunks } of memories) for (const { row } of chunks) rows[next++] = row;
  const hasLongMemories = memories.some(({ chunks }) => chunks.length > 1);
  return { memories, rows, starts, neighbours: neighboursOf(memories, rows, rowEnd), hasLongMemories };
}

/** By memory: the best of its chunks' scores, of those that count; -Infinity where none does. */
export function bestByMemory({ memories, rows, starts }: Scope, scores: Float64Array, counts?: (row: number) => boolean): Float64Array {
  const best = new Float64Array(memories.length).fill(-Infinity);
  for (let at = 0; at < best.length; at++) {
    for (let i = starts[at]; i < starts[at + 1]; i++) {
      const score = scores[rows[i]];
      if (score > best[at] && counts?.(rows[i]) !== false) best[at] = score;
    }
  }
  return best;
}

function neighboursOf(memories: readonly StoredMemory[], rows: Uint32Array, rowEnd: number): Int32Array | undefined {
  const neighbours = new Int32Array(2 * rowEnd).fill(NONE);
  const passes = new Uint8Array(rowEnd);
  for (const row of rows) passes[row] = 1;
  let links = 0;
  const link = (before: number, after: number): void => {
    neighbours[2 * before + 1] = after;
    neighbours[2 * after] = before;
    links++;
  };
  for (const { chunks, next } of memories) {
    const last = chunks.at(-1);
    const first = next?.chunks[0];
    if (last !== undefined && first !== undefined && passes[first.row] === 1) link(last.row, first.row);
  }
  return links === 0 ? undefined : neighbours;
}
