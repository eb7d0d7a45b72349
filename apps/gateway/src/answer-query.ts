import { encodeVector, toFilterMessage, toTimestamp, type LatencyMs, type SearchAnswer, type SearchQuery, type SearchResult } from "@memseal/contracts";
import type { Candidate, SearchResponse } from "@memseal/contracts/indexer";
import { AppError, InvalidArgumentError, UnavailableError } from "@memseal/errors";
import { SKIP_REASONS, type Breaker, type CallerLimits } from "@memseal/resilience";
import { blend } from "./blend.js";
import type { Caller, TenantCall } from "./call.js";
import type { Flags } from "./flags.js";
import type { IndexerClient } from "./indexer-client.js";
import { passageText } from "./passage-text.js";
import type { RerankerClient } from "./reranker-client.js";

/** Why the order is the fused one: `disabled` by the request, `off` by the operator's flag. */
export const RERANK_SKIPS = [...SKIP_REASONS, "disabled", "off"] as const;
export type RerankSkip = (typeof RERANK_SKIPS)[number];

/** What of a search is timed. */
export const STAGES = ["embed", "search", "rerank"] as const;
export type Stage = (typeof STAGES)[number];

/** Why words alone decided. */
export const DENSE_SKIPS = [...SKIP_REASONS, "disabled", "model_mismatch"] as const;
export type DenseSkip = (typeof DENSE_SKIPS)[number];

export interface QueryParts {
  indexer: Pick<IndexerClient, "search">;
  reranker: Pick<RerankerClient, "embedQuery" | "rerank">;
  embedBreaker: Breaker;
  rerankBreaker: Breaker;
  ranking: {
    /** How many candidates are scored, and how many are enough where there is no time for all. */
    depth: number;
    minDepth: number;
    /** What a logit counts beside the fused score. */
    weight: number;
  };
  /** Whether the rate of this caller leaves room for one more. */
  mayRerank: (caller: Caller) => boolean;
  flags: Pick<Flags, "isOn">;
  onDenseSkipped: (reason: DenseSkip) => void;
  /** The cross-encoder has put an answer in order. */
  onReranked: () => void;
  /** It had no time for all candidates that it was to score. */
  onRerankShortened: () => void;
  onRerankSkipped: (reason: RerankSkip) => void;
  /** Told how long a step took, where it was taken. */
  onStage: (stage: Stage, ms: number) => void;
}

/**
 * The read path: embed, search, rerank, shape. What is skipped is said in the answer; only the search itself can fail.
 * @throws UnavailableError in mode dense when the query cannot be embedded: words are not what was asked for
 */
export async function answerQuery(parts: QueryParts, call: TenantCall, query: SearchQuery): Promise<SearchAnswer> {
  const found = await find(parts, call, query);
  const ranking = await rank(parts, call, query, found.candidates);
  return toAnswer(call, query, found, ranking);
}

/** What a search found, before any reranking. */
export interface Found extends Omit<SearchResponse, "candidates"> {
  readonly candidates: readonly WholeCandidate[];
  readonly denseSkipped: DenseSkip | undefined;
  /** As of performance.now(). */
  readonly startedAt: number;
  readonly latencyMs: Pick<LatencyMs, "embed" | "search">;
}

/** The best candidates in fused order. */
export async function find(parts: QueryParts, call: TenantCall, query: SearchQuery): Promise<Found> {
  const startedAt = performance.now();
  const embedding = await timed(() => embed(parts, call, query));
  const found = await timed(() => search(parts, call, query, embedding.value));
  parts.onStage("search", found.ms);
  const { denseSkipped, candidates, ...rest } = found.value;
  if (denseSkipped !== undefined) parts.onDenseSkipped(denseSkipped);
  return { ...rest, candidates: candidates.map(whole), denseSkipped, startedAt, latencyMs: { embed: embedding.ms, search: found.ms } };
}

/** The first top_k of a ranking as callers see them. */
export function toAnswer(call: TenantCall, query: SearchQuery, found: Found, { ranked, isReranked, depth, skipped, ms }: Ranking): SearchAnswer {
  const { denseSkipped, totalMatching, integrityFailures, unknownFields } = found;
  return {
    results: ranked.slice(0, query.topK).map((result, i) => toResult(result, { rank: i + 1, isReranked, explain: query.explain })),
    reranked: isReranked,
    rerankSkipped: skipped,
    rerankDepth: depth,
    dense: denseSkipped === undefined,
    denseSkipped,
    totalMatching,
    integrityFailures,
    unknownFields,
    latencyMs: { ...found.latencyMs, rerank: ms, total: milliseconds(performance.now() - found.startedAt) },
    requestId: call.requestId,
  };
}

/** A vector with the model that made it, unless it is the caller's own; or neither, and why. */
interface Embedding {
  vector?: Buffer | undefined;
  model?: string;
  skipped?: DenseSkip;
}

async function embed({ reranker, embedBreaker, onStage }: QueryParts, call: TenantCall, { query, vector, mode }: SearchQuery): Promise<Embedding> {
  if (mode === "lexical") return { skipped: "disabled" };
  if (vector !== undefined) return { vector: encodeVector(vector) };
  const { value: outcome, ms } = await timed(() => embedBreaker.run((signal, deadlineMs) => reranker.embedQuery({ ...call, signal, deadlineMs }, query), mode === "dense" ? call : optional(call)));
  onStage("embed", ms);
  // A caller that left is nobody to answer, and no skip to count.
  call.signal.throwIfAborted();
  if (outcome.ok) return { vector: outcome.value.vector, model: outcome.value.model };
  if (mode === "dense") throw new UnavailableError("the query cannot be embedded now; try again, send a vector, or search in another mode");
  return { skipped: outcome.skipped };
}

/** What may be skipped gets half of the time that is left at most: a model that hangs must leave enough for an answer without it. */
function optional({ signal, deadlineMs }: TenantCall): CallerLimits {
  const now = Date.now();
  return { signal, deadlineMs: now + Math.floor((deadlineMs - now) / 2) };
}

type Searched = SearchResponse & { denseSkipped?: DenseSkip | undefined };

async function search({ indexer, ranking }: QueryParts, call: TenantCall, asked: SearchQuery, { vector, model, skipped }: Embedding): Promise<Searched> {
  const { query, filter, topK, mode, context, threshold, halfLifeDays, asOf, rerank, explain } = asked;
  const found = await indexer.search(call, {
    query,
    filters: filter && toFilterMessage(filter),
    // What is not scored keeps its order behind what is: beyond depth and top_k no candidate can come into the answer.
    candidates: Math.max(topK, rerank ? ranking.depth : 0),
    mode,
    context,
    threshold,
    decay: halfLifeDays === undefined ? undefined : { halfLifeDays },
    asOf: asOf && toTimestamp(asOf),
    vector,
    model,
    explain,
  });
  if (found.modelMismatch && mode === "dense") throw new InvalidArgumentError("vector", "is required in mode dense: this user's memories have vectors of another model than the embedder's");
  return { ...found, denseSkipped: found.modelMismatch ? "model_mismatch" : skipped };
}

export type WholeCandidate = { [Part in keyof Candidate]-?: NonNullable<Candidate[Part]> };

export interface Ranked {
  candidate: WholeCandidate;
  /** Rank before reranking, from 1. */
  originalRank: number;
  score: number;
  logit?: number | undefined;
}

export interface Ranking {
  ranked: Ranked[];
  isReranked: boolean;
  /** How many candidates, of the first, were scored. */
  depth: number;
  skipped?: RerankSkip | undefined;
  /** How long it took. */
  ms: number;
}

export function fusedRanking(candidates: readonly WholeCandidate[]): Ranking {
  return { ranked: candidates.map((candidate, i) => ({ candidate, originalRank: i + 1, score: candidate.scores.fused })), isReranked: false, depth: 0, ms: 0 };
}

/** The candidates as the cross-encoder would have them, or in fused order where it is not asked or does not answer. */
export async function rank(parts: QueryParts, call: TenantCall, query: SearchQuery, candidates: readonly WholeCandidate[]): Promise<Ranking> {
  const { value, ms } = await timed(() => rerank(parts, call, query, candidates));
  if (value.skipped !== undefined) parts.onRerankSkipped(value.skipped);
  return { ...value, isReranked: value.skipped === undefined, ms };
}

async function rerank(
  { reranker, rerankBreaker, ranking, mayRerank, flags, onReranked, onRerankShortened, onStage }: QueryParts,
  call: TenantCall,
  { query, rerank: isAsked }: SearchQuery,
  candidates: readonly WholeCandidate[],
): Promise<Pick<Ranking, "ranked" | "depth" | "skipped">> {
  const { ranked: fused, depth } = fusedRanking(candidates);
  if (!isAsked) return { ranked: fused, depth, skipped: "disabled" };
  if (!flags.isOn("rerank")) return { ranked: fused, depth, skipped: "off" };
  const passages = candidates.slice(0, ranking.depth).map(({ memory, passage }) => passageText(memory, passage.text));
  const readable = passages.filter((passage) => passage !== undefined);
  if (readable.length === 0) return { ranked: fused, depth };
  if (!mayRerank(call.caller)) return { ranked: fused, depth, skipped: "overloaded" };
  const request = { query, passages: readable, atLeast: ranking.minDepth };
  const { value: outcome, ms } = await timed(() => rerankBreaker.run((signal, deadlineMs) => reranker.rerank({ ...call, signal, deadlineMs }, request), optional(call)));
  onStage("rerank", ms);
  call.signal.throwIfAborted();
  if (!outcome.ok) return { ranked: fused, depth, skipped: outcome.skipped };
  const { logits } = outcome.value;
  onReranked();
  if (logits.length < readable.length) onRerankShortened();
  const next = logits.values();
  return { ranked: blend(fused, passages.map((passage) => (passage === undefined ? undefined : next.next().value)), ranking.weight), depth: logits.length };
}

export function toResult({ candidate, originalRank, score, logit }: Ranked, { rank, isReranked, explain }: { rank: number; isReranked: boolean; explain: boolean }): SearchResult {
  const { memory, passage, scores } = candidate;
  return {
    memory,
    score,
    passage,
    rank,
    originalRank: isReranked ? originalRank : undefined,
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
export function milliseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
