import { analyze } from "./analyzer.js";
import { Bm25 } from "./bm25.js";
import { DenseMatrix } from "./dense.js";
import { NotFilterableError } from "./errors.js";
import { matches, metadataFieldsOf, type FieldPath, type Fields, type Filter } from "./filter.js";
import { fuse, type ContextualScores } from "./fusion.js";
import { MetadataNames } from "./metadata-names.js";
import { ranksAmong } from "./ranks.js";
import { bestByMemory, NONE, scopeOf, type Scope, type StoredMemory } from "./scope.js";
import { Stems } from "./stems.js";
import { topK } from "./top-k.js";

/** An index without memories takes room, too. */
const INDEX_BYTES = 1_024;
// Rough, in bytes: the objects kept for a memory and for a chunk beside vectors and postings.
const MEMORY_BYTES = 300;
const CHUNK_BYTES = 175;
/** What a character of JSON takes as part of an object: 2.1 measured. */
const FIELD_CHARACTER_BYTES = 2.1;

/** What a chunk gets of the score of either neighbour, and of the one beyond it: tuned on dialogue turns (docs/benchmarks.md). */
const LENT_BM25 = [0.3, 0.2] as const;
const LENT_SIMILARITY = [0.15, 0.1] as const;
/**
 * What a chunk gets of what it lacks to the best of its memory: words and meaning need not meet in one chunk of a long text. Less
 * than all, so that the best chunk is still told from the others; and no memory gains by being long.
 */
const LENT_BY_BEST = 0.75;

const DAY_MS = 86_400_000;

/** What decides: BM25 and, where there is a query vector, cosine; or one of them alone. */
export type SearchMode = "hybrid" | "lexical" | "dense";

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
  /** Where it stands in its run (`fields.run_id`): memories at adjacent positions of one run are neighbours. */
  position?: number | undefined;
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
  /** Unless asked for, absent. */
  similarityRank?: number;
  /** 0 when the chunk holds no query term. */
  bm25: number;
  /** Absent when no chunk of the memory holds a query term, and unless asked for. */
  bm25Rank?: number;
  /** What neighbours and the rest of the memory lent to `fused`. */
  context: number;
  /** Factor by age, (0, 1]; absent unless the request has a half-life. */
  decay?: number;
  /** Sum of z-scores over the chunks that pass the filter, neighbours and age counted in; 0 is average. */
  fused: number;
}

export interface SearchRequest {
  query: string;
  /** Float32Array[dimension], of any length but zero. Without it BM25 alone can decide, and in mode dense nothing. */
  vector?: Float32Array | undefined;
  /** Absent: hybrid. Scores of a part that does not decide are told all the same. */
  mode?: SearchMode | undefined;
  /** Whether neighbours and the rest of the memory lend; absent: true. */
  context?: boolean | undefined;
  filter?: Filter | undefined;
  /** Most hits to return. */
  limit: number;
  /** Whether hits have their ranks, which take as long as the rest of a search without vectors. */
  explain?: boolean | undefined;
  /** The clock by which memories expire and age, ms since 1970. */
  now: number;
  /** Leaves out what occurred later, ms since 1970. */
  asOf?: number | undefined;
  /** Least cosine of a hit's chunk, [-1, 1]. Means nothing without a vector. */
  threshold?: number | undefined;
  /** After so many days a memory counts half. */
  halfLifeDays?: number | undefined;
}

export interface SelectRequest {
  filter?: Filter | undefined;
  /** As in SearchRequest. */
  now: number;
  /** Only memories older than this one. */
  before?: string | undefined;
  /** The newest so many, newest first; without it all, in no order. */
  limit?: number | undefined;
}

export interface SearchResult {
  /** Best first; of equals the newer one first. */
  hits: Hit[];
  /** Memories that pass the filter. */
  totalMatching: number;
  /** Metadata fields of the filter that no memory has. */
  unknownFields: string[];
}

/** One tenant's memories, searched exactly: every chunk that passes the filter is scored. Keeps terms and vectors, no texts. */
export class TenantIndex {
  readonly dimension: number;
  readonly #memories = new Map<string, StoredMemory>();
  readonly #dense: DenseMatrix;
  readonly #bm25 = new Bm25();
  readonly #stems = new Stems();
  readonly #metadataNames = new MetadataNames();
  /** By run, its memories by position. */
  readonly #runs = new Map<string, Map<number, StoredMemory>>();
  #chunkCount = 0;
  #fieldBytes = 0;
  /** What a search without a filter looks at, until a memory comes, goes or expires. */
  #everything: { readonly scope: Scope; readonly until: number } | undefined;

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
    return INDEX_BYTES + this.#dense.bytes + this.#bm25.bytes + this.memoryCount * MEMORY_BYTES + this.#chunkCount * CHUNK_BYTES + this.#fieldBytes + this.#metadataNames.bytes + this.#stems.bytes;
  }

  /**
   * Replaces the memory of the same id. On an error nothing has changed.
   * @throws DimensionMismatchError, or InvalidArgumentError for a vector that is zero or not finite
   */
  put(memory: IndexedMemory): void {
    const vectors = memory.chunks.map((chunk) => this.#dense.unit(chunk.vector));
    this.remove(memory.id);
    this.#everything = undefined;
    const heading = analyze(memory.heading, this.#stems);
    const chunks = memory.chunks.map(({ start, end, text }, chunkNo) => {
      const row = this.#dense.add(vectors[chunkNo]);
      this.#bm25.add(row, [...heading, ...analyze(text, this.#stems)]);
      return { row, start, end };
    });
    const { id, rowVersion, leftOut = [], position } = memory;
    const fields = { ...memory.fields, id };
    const fieldBytes = Math.ceil(FIELD_CHARACTER_BYTES * JSON.stringify(fields).length);
    const stored: StoredMemory = { id, rowVersion, fields, fieldBytes, leftOut, position, chunks, previous: undefined, next: undefined };
    this.#memories.set(id, stored);
    this.#metadataNames.add(stored);
    this.#joinRun(stored);
    this.#chunkCount += chunks.length;
    this.#fieldBytes += fieldBytes;
  }

  /** Whether there was such a memory. */
  remove(id: string): boolean {
    const memory = this.#memories.get(id);
    if (memory === undefined) return false;
    this.#everything = undefined;
    // No word outlives the last memory that had it.
    this.#stems.clear();
    for (const { row } of memory.chunks) {
      this.#bm25.remove(row);
      this.#dense.remove(row);
    }
    this.#memories.delete(id);
    this.#metadataNames.remove(memory);
    this.#leaveRun(memory);
    this.#chunkCount -= memory.chunks.length;
    this.#fieldBytes -= memory.fieldBytes;
    return true;
  }

  /**
   * @throws DimensionMismatchError, InvalidArgumentError for a vector that is zero or not finite, NotFilterableError for a
   * filter by what a memory leaves out
   */
  search({ query, vector, mode, context: inContext = true, filter, limit, explain = false, now, asOf, threshold, halfLifeDays }: SearchRequest): SearchResult {
    const queryVector = vector && this.#dense.unit(vector);
    const unknownFields = this.#unknownFields(filter);
    const scope = this.#scope({ filter, now, asOf });
    const { memories, rows } = scope;

    const bm25 = new Float64Array(this.#dense.rowEnd);
    this.#bm25.score(analyze(query, this.#stems), bm25);
    const dense = queryVector && new Float64Array(this.#dense.rowEnd);
    if (queryVector && dense) this.#dense.score(queryVector, rows, dense);
    const parts: ContextualScores[] = [];
    const lending = (own: Float64Array, ofNeighbours: readonly [number, number]): ContextualScores =>
      inContext ? withContext(own, scope, ofNeighbours) : { scores: own, lent: undefined };
    if (mode !== "dense") parts.push(lending(bm25, LENT_BM25));
    if (mode !== "lexical" && dense) parts.push(lending(dense, LENT_SIMILARITY));
    const { fused, context } = fuse(parts, rows, this.#dense.rowEnd);
    const decay = halfLifeDays === undefined ? undefined : decayByAge(fused, scope, { now, halfLifeDays });

    const isHit = dense === undefined || threshold === undefined ? undefined : (row: number): boolean => dense[row] >= threshold;
    const bestFused = bestByMemory(scope, fused, isHit);
    const chosen = topK(memories.length, limit, (a, b) => (bestFused[a] === bestFused[b] ? memories[a].id > memories[b].id : bestFused[a] > bestFused[b]))
      // Without a chunk that counts.
      .filter((at) => bestFused[at] > -Infinity);
    const bm25Ranks = explain ? ranksOf(scope, bm25, chosen, 0) : undefined;
    const similarityRanks = explain && dense ? ranksOf(scope, dense, chosen) : undefined;
    const hits = chosen.map((number, at): Hit => {
      const memory = memories[number];
      const { id, rowVersion, chunks } = memory;
      const chunkNo = chunks.findIndex(({ row }) => fused[row] === bestFused[number] && isHit?.(row) !== false);
      const { row, start, end } = chunks[chunkNo];
      return {
        memoryId: id,
        rowVersion,
        chunkNo,
        start,
        end,
        ...(dense && { similarity: dense[row] }),
        ...(similarityRanks && { similarityRank: similarityRanks[at] }),
        bm25: bm25[row],
        ...(bm25Ranks?.[at] !== undefined && { bm25Rank: bm25Ranks[at] }),
        context: context?.[row] ?? 0,
        ...(decay && { decay: decay(memory) }),
        fused: fused[row],
      };
    });
    return { hits, totalMatching: memories.length, unknownFields };
  }

  /**
   * The memories that a search with this filter would look at.
   * @throws NotFilterableError for a filter by what a memory leaves out
   */
  select({ filter, now, before, limit }: SelectRequest): { id: string; rowVersion: number }[] {
    this.#unknownFields(filter);
    const passing = this.#passing({ filter, now }).filter(({ id }) => before === undefined || id < before);
    const chosen = limit === undefined ? passing : topK(passing.length, limit, (a, b) => passing[a].id > passing[b].id).map((at) => passing[at]);
    return chosen.map(({ id, rowVersion }) => ({ id, rowVersion }));
  }

  /** Empties the index and overwrites vectors and postings. */
  clear(): void {
    this.#dense.zero();
    this.#bm25.zero();
    this.#memories.clear();
    this.#metadataNames.clear();
    this.#stems.clear();
    this.#runs.clear();
    this.#everything = undefined;
    this.#chunkCount = 0;
    this.#fieldBytes = 0;
  }

  #scope({ filter, now, asOf }: Pick<SearchRequest, "filter" | "now" | "asOf">): Scope {
    if (filter !== undefined || asOf !== undefined) return scopeOf(this.#passing({ filter, now, asOf }), this.#dense.rowEnd);
    if (this.#everything === undefined || now >= this.#everything.until) {
      const memories = this.#passing({ filter, now, asOf });
      const until = memories.reduce((soonest, { fields: { expires_at: expiresAt = Infinity } }) => Math.min(soonest, expiresAt), Infinity);
      this.#everything = { scope: scopeOf(memories, this.#dense.rowEnd), until };
    }
    return this.#everything.scope;
  }

  /** What has expired is gone, although its rows may still be here. */
  #passing({ filter, now, asOf }: Pick<SearchRequest, "filter" | "now" | "asOf">): StoredMemory[] {
    const passing: StoredMemory[] = [];
    for (const memory of this.#memories.values()) {
      const { expires_at: expiresAt, occurred_at: occurredAt } = memory.fields;
      if (expiresAt !== undefined && expiresAt <= now) continue;
      if (asOf !== undefined && occurredAt !== undefined && occurredAt > asOf) continue;
      if (filter === undefined || matches(filter, memory.fields)) passing.push(memory);
    }
    return passing;
  }

  /** @throws NotFilterableError */
  #unknownFields(filter: Filter | undefined): string[] {
    const isUnknown = (path: FieldPath): boolean => {
      const [, ...names] = path;
      if (this.#metadataNames.isLeftOut(names[0])) throw new NotFilterableError();
      return !this.#metadataNames.isKnown(names);
    };
    return metadataFieldsOf(filter).filter(isUnknown).map((path) => path.join("."));
  }

  #joinRun(memory: StoredMemory): void {
    const { fields: { run_id: runId }, position } = memory;
    if (runId === undefined || position === undefined) return;
    const run = this.#runs.get(runId) ?? new Map<number, StoredMemory>();
    this.#runs.set(runId, run);
    run.set(position, memory);
    memory.previous = run.get(position - 1);
    memory.next = run.get(position + 1);
    if (memory.previous !== undefined) memory.previous.next = memory;
    if (memory.next !== undefined) memory.next.previous = memory;
  }

  #leaveRun(memory: StoredMemory): void {
    const { fields: { run_id: runId }, position, previous, next } = memory;
    if (previous !== undefined) previous.next = undefined;
    if (next !== undefined) next.previous = undefined;
    const run = runId === undefined ? undefined : this.#runs.get(runId);
    if (runId === undefined || run === undefined || position === undefined || run.get(position) !== memory) return;
    run.delete(position);
    if (run.size === 0) this.#runs.delete(runId);
  }
}

/** Each row's score with what it is lent: by its memory and, the given parts of theirs, by its neighbours and those beyond them. */
function withContext(own: Float64Array, scope: Scope, [near, far]: readonly [number, number]): ContextualScores {
  const { memories, rows, starts, neighbours, hasLongMemories } = scope;
  if (neighbours === undefined && !hasLongMemories) return { scores: own, lent: undefined };
  const lent = new Float64Array(own.length);
  for (let at = 0; hasLongMemories && at < memories.length; at++) {
    if (starts[at + 1] - starts[at] < 2) continue;
    let best = -Infinity;
    for (let i = starts[at]; i < starts[at + 1]; i++) best = Math.max(best, own[rows[i]]);
    for (let i = starts[at]; i < starts[at + 1]; i++) lent[rows[i]] = LENT_BY_BEST * (best - own[rows[i]]);
  }
  if (neighbours !== undefined) {
    const scoreAt = (row: number): number => (row === NONE ? 0 : own[row]);
    for (const row of rows) {
      const before = neighbours[2 * row];
      const after = neighbours[2 * row + 1];
      const beyond = (before === NONE ? 0 : scoreAt(neighbours[2 * before])) + (after === NONE ? 0 : scoreAt(neighbours[2 * after + 1]));
      lent[row] += near * (scoreAt(before) + scoreAt(after)) + far * beyond;
    }
  }
  const scores = new Float64Array(own.length);
  for (const row of rows) scores[row] = own[row] + lent[row];
  return { scores, lent };
}

/**
 * Lowers each score by its memory's age: what it is above the lowest score is multiplied by the factor, so that age never
 * raises a score, whatever its sign. Returns a memory's factor.
 */
function decayByAge(
  fused: Float64Array,
  { memories, rows }: Scope,
  { now, halfLifeDays }: { now: number; halfLifeDays: number },
): (memory: StoredMemory) => number {
  const factorOf = ({ fields: { occurred_at: occurredAt = now } }: StoredMemory): number => 0.5 ** (Math.max(0, now - occurredAt) / (halfLifeDays * DAY_MS));
  let lowest = Infinity;
  for (const row of rows) if (fused[row] < lowest) lowest = fused[row];
  for (const memory of memories) {
    const factor = factorOf(memory);
    for (const { row } of memory.chunks) fused[row] = lowest + (fused[row] - lowest) * factor;
  }
  return factorOf;
}

/** Of each of the chosen memories, numbers in the scope, the rank of its best score among all; undefined where that is not above `least`. */
function ranksOf(scope: Scope, scores: Float64Array, chosen: readonly number[], least = -Infinity): (number | undefined)[] {
  const best = bestByMemory(scope, scores);
  const bestOfChosen = chosen.map((at) => best[at]);
  const ranks = ranksAmong(best, bestOfChosen);
  return ranks.map((rank, at) => (bestOfChosen[at] > least ? rank : undefined));
}
