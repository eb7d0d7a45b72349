import { analyze } from "./analyzer.js";
import { Bm25 } from "./bm25.js";
import { DenseMatrix } from "./dense.js";
import { NotFilterableError } from "./errors.js";
import { matches, metadataFieldsOf, valueAt, type FieldPath, type Fields, type Filter } from "./filter.js";
import { fuse } from "./fusion.js";
import { ranksAmong } from "./ranks.js";
import { topK } from "./top-k.js";

/** An index without memories takes room, too. */
const INDEX_BYTES = 1_024;
// Rough, in bytes: the objects kept for a memory and for a chunk beside vectors and postings.
const MEMORY_BYTES = 250;
const CHUNK_BYTES = 150;
/** What a character of JSON takes as part of an object: 2.1 measured. */
const FIELD_CHARACTER_BYTES = 2.1;

/** A span of a memory's text, in code points from `start` to before `end`. */
export interface IndexedChunk {
  start: number;
  end: number;
  text: string;
  /** Float32Array[dimension], of any length but zero. */
  vector: Float32Array;
}

export interface IndexedMemory {
  /** uuid v7, lower case: a greater one is newer. */
  id: string;
  rowVersion: number;
  /** What can be filtered by beside the id. */
  fields: Omit<Fields, "id">;
  /** Names in the memory's metadata that `fields` leaves out. */
  leftOut?: readonly string[];
  /** Indexed lexically with every chunk: date and speaker. */
  heading: string;
  chunks: readonly IndexedChunk[];
}

/** A memory and its best chunk. A rank is 1 plus how many memories that pass the filter have a better chunk of that kind. */
export interface Hit {
  memoryId: string;
  rowVersion: number;
  chunkNo: number;
  start: number;
  end: number;
  /** Cosine of chunk and query, [-1, 1]; absent, with its rank, when the request has no vector. */
  similarity?: number;
  similarityRank?: number;
  /** 0 when the chunk holds no query term. */
  bm25: number;
  /** Absent when no chunk of the memory holds a query term. */
  bm25Rank?: number;
  /** Sum of z-scores over the chunks that pass the filter; 0 is average. */
  fused: number;
}

export interface SearchRequest {
  query: string;
  /** Float32Array[dimension], of any length but zero. Without it BM25 alone decides. */
  vector?: Float32Array | undefined;
  filter?: Filter | undefined;
  /** Most hits to return. */
  limit: number;
}

export interface SearchResult {
  /** Best first; of equals the newer one first. */
  hits: Hit[];
  /** Memories that pass the filter. */
  totalMatching: number;
  /** Metadata fields of the filter that no memory has. */
  unknownFields: string[];
}

interface StoredChunk {
  row: number;
  start: number;
  end: number;
}

interface StoredMemory {
  id: string;
  rowVersion: number;
  fields: Fields;
  fieldBytes: number;
  leftOut: readonly string[];
  chunks: readonly StoredChunk[];
}

/** One tenant's memories, searched exactly: every chunk that passes the filter is scored. Keeps terms and vectors, no texts. */
export class TenantIndex {
  readonly dimension: number;
  readonly #memories = new Map<string, StoredMemory>();
  readonly #dense: DenseMatrix;
  readonly #bm25 = new Bm25();
  #chunkCount = 0;
  #fieldBytes = 0;

  constructor(options: { dimension: number }) {
    this.dimension = options.dimension;
    this.#dense = new DenseMatrix(options.dimension);
  }

  get memoryCount(): number {
    return this.#memories.size;
  }

  get chunkCount(): number {
    return this.#chunkCount;
  }

  /** Roughly what the index takes in memory. */
  get bytes(): number {
    return INDEX_BYTES + this.#dense.bytes + this.#bm25.bytes + this.memoryCount * MEMORY_BYTES + this.#chunkCount * CHUNK_BYTES + this.#fieldBytes;
  }

  /**
   * Replaces the memory of the same id. On an error nothing has changed.
   * @throws DimensionMismatchError, or InvalidArgumentError for a vector that is zero or not finite
   */
  put(memory: IndexedMemory): void {
    const vectors = memory.chunks.map((chunk) => this.#dense.unit(chunk.vector));
    this.remove(memory.id);
    const heading = analyze(memory.heading);
    const chunks = memory.chunks.map(({ start, end, text }, chunkNo) => {
      const row = this.#dense.add(vectors[chunkNo]);
      this.#bm25.add(row, [...heading, ...analyze(text)]);
      return { row, start, end };
    });
    const { id, rowVersion, leftOut = [] } = memory;
    const fields = { ...memory.fields, id };
    const fieldBytes = Math.ceil(FIELD_CHARACTER_BYTES * JSON.stringify(fields).length);
    this.#memories.set(id, { id, rowVersion, fields, fieldBytes, leftOut, chunks });
    this.#chunkCount += chunks.length;
    this.#fieldBytes += fieldBytes;
  }

  /** Whether there was such a memory. */
  remove(id: string): boolean {
    const memory = this.#memories.get(id);
    if (memory === undefined) return false;
    for (const { row } of memory.chunks) {
      this.#bm25.remove(row);
      this.#dense.remove(row);
    }
    this.#memories.delete(id);
    this.#chunkCount -= memory.chunks.length;
    this.#fieldBytes -= memory.fieldBytes;
    return true;
  }

  /**
   * @throws DimensionMismatchError, InvalidArgumentError for a vector that is zero or not finite, NotFilterableError for a
   * filter by what a memory leaves out
   */
  search({ query, vector, filter, limit }: SearchRequest): SearchResult {
    const queryVector = vector && this.#dense.unit(vector);
    const unknownFields = this.#unknownFields(filter);
    const passing = this.#passing(filter);
    const rows = rowsOf(passing);

    const bm25 = new Float64Array(this.#dense.rowEnd);
    this.#bm25.score(analyze(query), bm25);
    const dense = queryVector && new Float64Array(this.#dense.rowEnd);
    if (queryVector && dense) this.#dense.score(queryVector, rows, dense);
    const fused = fuse(bm25, dense, rows);

    const candidates = passing.filter(({ chunks }) => chunks.length > 0);
    const bestFused = bestByMemory(candidates, fused);
    const best = topK(candidates.length, limit, (a, b) =>
      bestFused[a] === bestFused[b] ? candidates[a].id > candidates[b].id : bestFused[a] > bestFused[b],
    );
    const bm25Of = ranked(candidates, bm25, best);
    const similarityOf = dense && ranked(candidates, dense, best);
    const hits = best.map((candidate, at): Hit => {
      const { id, rowVersion, chunks } = candidates[candidate];
      const chunkNo = chunks.findIndex(({ row }) => fused[row] === bestFused[candidate]);
      const { row, start, end } = chunks[chunkNo];
      return {
        memoryId: id,
        rowVersion,
        chunkNo,
        start,
        end,
        ...(dense && similarityOf && { similarity: dense[row], similarityRank: similarityOf[at].rank }),
        bm25: bm25[row],
        ...(bm25Of[at].best > 0 && { bm25Rank: bm25Of[at].rank }),
        fused: fused[row],
      };
    });
    return { hits, totalMatching: passing.length, unknownFields };
  }

  /** Empties the index and overwrites vectors and postings. */
  clear(): void {
    this.#dense.zero();
    this.#bm25.zero();
    this.#memories.clear();
    this.#chunkCount = 0;
    this.#fieldBytes = 0;
  }

  #passing(filter: Filter | undefined): StoredMemory[] {
    const memories = [...this.#memories.values()];
    return filter === undefined ? memories : memories.filter(({ fields }) => matches(filter, fields));
  }

  #unknownFields(filter: Filter | undefined): string[] {
    return metadataFieldsOf(filter).filter((path) => !this.#isKnown(path)).map((path) => path.join("."));
  }

  /** @throws NotFilterableError */
  #isKnown(path: FieldPath): boolean {
    const memories = [...this.#memories.values()];
    if (memories.some(({ leftOut }) => leftOut.includes(path[1]))) throw new NotFilterableError();
    return memories.some(({ fields }) => valueAt(fields, path) !== undefined);
  }
}

function rowsOf(memories: readonly StoredMemory[]): Uint32Array {
  const rows: number[] = [];
  for (const { chunks } of memories) for (const { row } of chunks) rows.push(row);
  return new Uint32Array(rows);
}

/** By memory: the best of its chunks' scores. */
function bestByMemory(memories: readonly StoredMemory[], scores: Float64Array): Float64Array {
  const best = new Float64Array(memories.length).fill(-Infinity);
  for (let at = 0; at < memories.length; at++) {
    for (const { row } of memories[at].chunks) if (scores[row] > best[at]) best[at] = scores[row];
  }
  return best;
}

/** For each of the chosen memories (by index) its best score and that score's rank among all memories. */
function ranked(memories: readonly StoredMemory[], scores: Float64Array, chosen: readonly number[]): { best: number; rank: number }[] {
  const all = bestByMemory(memories, scores);
  const ranks = ranksAmong(all, chosen.map((memory) => all[memory]));
  return chosen.map((memory, at) => ({ best: all[memory], rank: ranks[at] }));
}
