import { encodeVector, IndexerServiceService as Indexer, type PutMemory, type SearchRequest } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import type { RunningIndexer } from "./start-indexer.js";

/** A row that a bench prints. */
export interface Figure {
  what: string;
  /** One a round. */
  values: number[];
  unit: string;
  commit?: number;
  aim?: number;
  lowerIsBetter?: boolean;
  /** false: printed beside its commit, and not checked. */
  isPromised?: boolean;
  note?: string;
}

export const MEMORIES_A_CALL = 200;
const CALLS_AT_ONCE = 5;
const CANDIDATES = 24;
const WORDS_A_TEXT = 30;
const WORDS_A_QUERY = 6;

/** The load in words, for a bench's settings. */
export const LOAD = `a memory is one chunk: ${WORDS_A_TEXT} words (about 200 B), two tags, a number of metadata; a search has ${WORDS_A_QUERY} words and a vector, and opens the best ${CANDIDATES}`;

/** 5,000 words, the frequent ones more often. */
const WORDS = Array.from({ length: 5_000 }, (_v, i) => `${["an", "be", "co", "du", "el", "fi", "go", "hu", "in", "jo"][i % 10]}${i.toString(36)}`);
const word = () => WORDS[Math.floor(WORDS.length * Math.random() ** 3)] ?? "";
const words = (count: number) => Array.from({ length: count }, word).join(" ");

export const vector = (dimension: number) => Float32Array.from({ length: dimension }, () => Math.random() - 0.5);

function memory(dimension: number): PutMemory {
  const text = words(WORDS_A_TEXT);
  return {
    text, tags: ["bench", word()], metadata: { stars: Math.floor(Math.random() * 5) }, occurredAt: undefined,
    chunks: [{ start: 0, end: text.length, vector: encodeVector(vector(dimension)) }],
  };
}

export const memories = (count: number, dimension: number) => Array.from({ length: count }, () => memory(dimension));

export const put = (indexer: RunningIndexer, tenant: UserHash, batch: PutMemory[]) => indexer.call(Indexer.put, "write", tenant, { memories: batch, model: "bench" });

/** Gives a tenant so many memories. chunks: a multiple of 1,000, or fewer than 200. */
export async function fill(indexer: RunningIndexer, tenant: UserHash, { chunks, dimension }: { chunks: number; dimension: number }): Promise<void> {
  const size = Math.min(chunks, MEMORIES_A_CALL);
  for (let written = 0; written < chunks; written += size * CALLS_AT_ONCE) {
    await Promise.all(Array.from({ length: chunks > size ? CALLS_AT_ONCE : 1 }, () => put(indexer, tenant, memories(size, dimension))));
  }
}

/** Searches for something new; returns how long that took, in ms. */
export function search(indexer: RunningIndexer, tenant: UserHash, dimension: number): Promise<number> {
  const request: SearchRequest = { query: words(WORDS_A_QUERY), vector: encodeVector(vector(dimension)), filters: undefined, candidates: CANDIDATES };
  return timeMs(() => indexer.call(Indexer.search, "read", tenant, request));
}

export async function timeMs(work: () => unknown): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

export const p95 = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? NaN;
