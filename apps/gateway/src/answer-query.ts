import { encodeVector, toFilterMessage, type SearchAnswer, type SearchQuery, type SearchResult } from "@memseal/contracts";
import type { Candidate, SearchResponse } from "@memseal/contracts/indexer";
import { AppError, InvalidArgumentError, UnavailableError } from "@memseal/errors";
import { SKIP_REASONS, type Breaker, type SkipReason } from "@memseal/resilience";
import { blend } from "./blend.js";
import type { TenantCall } from "./call.js";
import type { IndexerClient } from "./indexer-client.js";
import { passageText } from "./passage-text.js";
import type { RerankerClient } from "./reranker-client.js";

export type RerankSkip = SkipReason | "disabled";

/** Why words alone decided. */
export const DENSE_SKIPS = [...SKIP_REASONS, "disabled", "model_mismatch"] as const;
export type DenseSkip = (typeof DENSE_SKIPS)[number];

export interface QueryParts {
  indexer: Pick<IndexerClient, "search">;
  reranker: Pick<RerankerClient, "embedQuery" | "rerank">;
  embedBreaker: Breaker;
  rerankBreaker: Breaker;
  ranking: {
    /** How many candidates are scored. */
    depth: number;
    /** What a logit counts beside the fused score. */
    weight: number;
  };
  onDenseSkipped: (reason: DenseSkip) => void;
  onRerankSkipped: (reason: RerankSkip) => void;
}

/**
 * The read path: embed, search, rerank, shape. What is skipped is said in the answer; only the search itself can fail.
 * @throws UnavailableError in mode dense when the query cannot be embedded: words are not what was asked for
 */
export async function answerQuery(parts: QueryParts, call: TenantCall, query: SearchQuery): Promise<SearchAnswer> {
  const { topK, explain } = query;
  const startedAt = performance.now();
  const embedding = await timed(() => embed(parts, call, query));
  const found = await timed(() => search(parts, call, query, embedding.value));
  const { denseSkipped, candidates: opened, totalMatching, integrityFailures, unknownFields } = found.value;
  const candidates = opened.map(whole);
  const order = await timed(() => rank(parts, call, query, candidates));
  const { ranked, skipped } = order.value;
  if (denseSkipped !== undefined) parts.onDenseSkipped(denseSkipped);
  if (skipped !== undefined) parts.onRerankSkipped(skipped);
  return {
    results: ranked.slice(0, topK).map((result, i) => toResult(result, { rank: i + 1, reranked: skipped === undefined, explain })),
    reranked: skipped === undefined,
    rerankSkipped: skipped,
    dense: denseSkipped === undefined,
    denseSkipped,
    totalMatching,
    integrityFailures,
    unknownFields,
    latencyMs: { embed: embedding.ms, search: found.ms, rerank: order.ms, total: milliseconds(performance.now() - startedAt) },
    requestId: call.requestId,
  };
}

/** A vector with the model that made it, unless it is the caller's own; or neither, and why. */
interface Embedding {
  vector?: Buffer | undefined;
  model?: string;
  skipped?: DenseSkip;
}

async function embed({ reranker, embedBreaker }: QueryParts, call: TenantCall, { query, vector, mode }: SearchQuery): Promise<Embedding> {
  if (mode === "lexical") return { skipped: "disabled" };
  if (vector !== undefined) return { vector: encodeVector(vector) };
  const outcome = await embedBreaker.run((signal, deadlineMs) => reranker.embedQuery({ ...call, signal, deadlineMs }, query), call);
  // A caller that left is nobody to answer, and no skip to count.
  call.signal.throwIfAborted();
  if (outcome.ok) return { vector: outcome.value.vector, model: outcome.value.model };
  if (mode === "dense") throw new UnavailableError("the query cannot be embedded now; try again, send a vector, or search in another mode");
  return { skipped: outcome.skipped };
}

type Found = SearchResponse & { denseSkipped?: DenseSkip | undefined };

async function search({ indexer, ranking }: QueryParts, call: TenantCall, { query, filter, mode, context, topK, rerank, explain }: SearchQuery, { vector, model, skipped }: Embedding): Promise<Found> {
  // What is not scored keeps its order behind what is: beyond depth and top_k no candidate can come into the answer.
  const candidates = Math.max(topK, rerank ? ranking.depth : 0);
  const request = { query, filters: filter && toFilterMessage(filter), candidates, mode, context, explain };
  const found = await indexer.search(call, { ...request, vector, model });
  if (found.modelMismatch && mode === "dense") throw new InvalidArgumentError("vector", "is required in mode dense: this user's memories have vectors of another model than the embedder's");
  return { ...found, denseSkipped: found.modelMismatch ? "model_mismatch" : skipped };
}

type WholeCandidate = { [Part in keyof Candidate]-?: NonNullable<Candidate[Part]> };

interface Ranked {
  candidate: WholeCandidate;
  /** Rank before reranking, from 1. */
  originalRank: number;
  score: number;
  logit?: number | undefined;
}

interface Ranking {
  ranked: Ranked[];
  skipped?: RerankSkip;
}

async function rank({ reranker, rerankBreaker, ranking }: QueryParts, call: TenantCall, { query, rerank }: SearchQuery, candidates: WholeCandidate[]): Promise<Ranking> {
  const fused = candidates.map((candidate, i) => ({ candidate, originalRank: i + 1, score: candidate.scores.fused }));
  if (!rerank) return { ranked: fused, skipped: "disabled" };
  const passages = candidates.slice(0, ranking.depth).map(({ memory, passage }) => passageText(memory, passage.text));
  const readable = passages.filter((passage) => passage !== undefined);
  if (readable.length === 0) return { ranked: fused };
  const outcome = await rerankBreaker.run((signal, deadlineMs) => reranker.rerank({ ...call, signal, deadlineMs }, query, readable), call);
  call.signal.throwIfAborted();
  if (!outcome.ok) return { ranked: fused, skipped: outcome.skipped };
  const logits = outcome.value.values();
  return { ranked: blend(fused, passages.map((passage) => (passage === undefined ? undefined : logits.next().value)), ranking.weight) };
}

function toResult({ candidate, originalRank, score, logit }: Ranked, { rank, reranked, explain }: { rank: number; reranked: boolean; explain: boolean }): SearchResult {
  const { memory, passage, scores } = candidate;
  return {
    memory,
    score,
    passage,
    rank,
    originalRank: reranked ? originalRank : undefined,
    scores: explain ? { ...scores, rerank: logit } : undefined,
  };
}

function whole({ memory, passage, scores }: Candidate): WholeCandidate {
  if (memory === undefined || passage === undefined || scores === undefined) throw new AppError("internal", "the indexer left out part of a candidate");
  return { memory, passage, scores };
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const startedAt = performance.now();
  const value = await work();
  return { value, ms: milliseconds(performance.now() - startedAt) };
}

/** Microseconds are all a clock can tell. */
function milliseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
