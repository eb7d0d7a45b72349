import type { Timestamp } from "./generated/google/protobuf/timestamp.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { toRfc3339 } from "./rfc3339.js";

/** Answers as JSON: the names of the .proto file, times as in RFC 3339, what is absent left out. */
export function addResponseToJson({ results }: wire.AddResponse): object {
  return { results: results.map(({ id, createdAt, version }) => ({ id, created_at: time(createdAt), version })) };
}

export function memoryToJson(memory: wire.Memory): object {
  return {
    id: memory.id,
    text: memory.text,
    agent_id: memory.agentId,
    role: memory.role,
    source: memory.source,
    tags: memory.tags,
    metadata: memory.metadata ?? {},
    occurred_at: time(memory.occurredAt),
    created_at: time(memory.createdAt),
    updated_at: time(memory.updatedAt),
    version: memory.version,
  };
}

export function listResponseToJson({ results, nextCursor }: wire.ListResponse): object {
  return { results: results.map(memoryToJson), next_cursor: nextCursor };
}

export function deleteResponseToJson({ deleted }: wire.DeleteResponse): object {
  return { deleted };
}

export function searchAnswerToJson(answer: wire.SearchAnswer): object {
  return {
    results: answer.results.map(searchResultToJson),
    reranked: answer.reranked,
    rerank_skipped: answer.rerankSkipped,
    dense: answer.dense,
    dense_skipped: answer.denseSkipped,
    total_matching: answer.totalMatching,
    integrity_failures: answer.integrityFailures,
    latency_ms: answer.latencyMs,
    request_id: answer.requestId,
  };
}

function searchResultToJson({ memory, score, passage, rank, originalRank, scores }: wire.SearchResult): object {
  return { memory: memory && memoryToJson(memory), score, passage, rank, original_rank: originalRank, scores: scores && scoresToJson(scores) };
}

function scoresToJson({ similarity, similarityRank, bm25, bm25Rank, fused, rerank }: wire.Scores): object {
  return { similarity, similarity_rank: similarityRank, bm25, bm25_rank: bm25Rank, fused, rerank };
}

function time(at: Timestamp | undefined): string | undefined {
  return at && toRfc3339(at);
}
