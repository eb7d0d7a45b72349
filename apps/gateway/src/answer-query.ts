import { encodeVector, toFilterMessage, type SearchAnswer, type SearchQuery, type SearchResult } from "@memseal/contracts";
import type { Candidate } from "@memseal/contracts/indexer";
import { AppError } from "@memseal/errors";
import type { Breaker, SkipReason } from "@memseal/resilience";
import { blend } from "./blend.js";
import type { TenantCall } from "./call.js";
import type { IndexerClient } from "./indexer-client.js";
import { passageText } from "./passage-text.js";
import type { RerankerClient } from "./reranker-client.js";

/** Fewer would leave the cross-encoder too little to choose from. */
const MIN_CANDIDATES = 50;

export type RerankSkip = SkipReason | "disabled";

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
  onDenseSkipped: (reason: SkipReason) => void;
  onRerankSkipped: (reason: RerankSkip) => void;
}

/** The read path: embed, search, rerank, shape. What is skipped is said in the answer; only the search itself can fail. */
export async function answerQuery(parts: QueryParts, call: TenantCall, query: SearchQuery): Promise<SearchAnswer> {
  const { topK, explain } = query;
  const startedAt = performance.now();
  const embedding = await timed(() => embed(parts, call, query));
  const found = await timed(() =>
    parts.indexer.search(call, {
      query: query.query,
      vector: embedding.value.vector,
      filters: query.filter && toFilterMessage(query.filter),
      candidates: Math.max(MIN_CANDIDATES, topK),
    }),
  );
  const candidates = found.value.candidates.map(whole);
  const order = await timed(() => rank(parts, call, query, candidates));
  const { ranked, skipped } = order.value;
  if (embedding.value.skipped !== undefined) parts.onDenseSkipped(embedding.value.skipped);
  if (skipped !== undefined) parts.onRerankSkipped(skipped);
  return {
    results: ranked.slice(0, topK).map((result, i) => toResult(result, { rank: i + 1, reranked: skipped === undefined, explain })),
    reranked: skipped === undefined,
    rerankSkipped: skipped,
    dense: embedding.value.skipped === undefined,
    denseSkipped: embedding.value.skipped,
    totalMatching: found.value.totalMatching,
    integrityFailures: found.value.integrityFailures,
    latencyMs: { embed: embedding.ms, search: found.ms, rerank: order.ms, total: milliseconds(performance.now() - startedAt) },
    requestId: call.requestId,
  };
}

interface Embedding {
  vector?: Buffer | undefined;
  skipped?: SkipReason;
}

async function embed({ reranker, embedBreaker }: QueryParts, call: TenantCall, { query, vector }: SearchQuery): Promise<Embedding> {
  if (vector !== undefined) return { vector: encodeVector(vector) };
  const outcome = await embedBreaker.run((signal, deadlineMs) => reranker.embedQuery({ ...call, signal, deadlineMs }, query), call);
  // A caller that left is nobody to answer, and no skip to count.
  call.signal.throwIfAborted();
  return outcome.ok ? { vector: outcome.value.vector } : { skipped: outcome.skipped };
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
  if (candidates.length === 0) return { ranked: [] };
  const passages = candidates.slice(0, ranking.depth).map(({ memory, passage }) => passageText(memory, passage.text));
  const outcome = await rerankBreaker.run((signal, deadlineMs) => reranker.rerank({ ...call, signal, deadlineMs }, query, passages), call);
  call.signal.throwIfAborted();
  if (!outcome.ok) return { ranked: fused, skipped: outcome.skipped };
  return { ranked: blend(fused, outcome.value, ranking.weight) };
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
