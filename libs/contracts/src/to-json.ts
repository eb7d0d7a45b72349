import type { Timestamp } from "./generated/google/protobuf/timestamp.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { toRfc3339 } from "./rfc3339.js";

/** Answers as JSON: the names of the .proto file, times as in RFC 3339, bytes as hex, what is absent left out. */
export function addResponseToJson({ results }: wire.AddResponse): object {
  return { results: results.map(({ id, createdAt, version, event, position }) => ({ id, created_at: time(createdAt), version, event, position })) };
}

export function memoryToJson(memory: wire.Memory): object {
  return {
    id: memory.id,
    text: memory.text,
    key: memory.key,
    agent_id: memory.agentId,
    run_id: memory.runId,
    position: memory.position,
    role: memory.role,
    source: memory.source,
    tags: memory.tags,
    metadata: memory.metadata ?? {},
    occurred_at: time(memory.occurredAt),
    created_at: time(memory.createdAt),
    updated_at: time(memory.updatedAt),
    expires_at: time(memory.expiresAt),
    version: memory.version,
  };
}

export function listResponseToJson({ results, nextCursor }: wire.ListResponse): object {
  return { results: results.map(memoryToJson), next_cursor: nextCursor };
}

export function historyResponseToJson({ results }: wire.HistoryResponse): object {
  return { results: results.map(({ event, at, memory }) => ({ event, at: time(at), memory: memory && memoryToJson(memory) })) };
}

export function deleteResponseToJson({ deleted }: wire.DeleteResponse): object {
  return { deleted };
}

export function searchAnswerToJson(answer: wire.SearchAnswer): object {
  return {
    results: answer.results.map(searchResultToJson),
    reranked: answer.reranked,
    rerank_skipped: answer.rerankSkipped,
    rerank_depth: answer.rerankDepth,
    dense: answer.dense,
    dense_skipped: answer.denseSkipped,
    total_matching: answer.totalMatching,
    integrity_failures: answer.integrityFailures,
    unknown_fields: answer.unknownFields,
    latency_ms: answer.latencyMs,
    request_id: answer.requestId,
  };
}

/** As a server-sent event: its name and its data. */
export function searchEventToJson({ event }: wire.SearchEvent): { event: string; data: object } {
  switch (event?.$case) {
    case "results":
      return { event: "results", data: searchAnswerToJson(event.value) };
    case "reranked": {
      const { order, added, removed, rerankDepth } = event.value;
      return { event: "reranked", data: { order, added: added.map(searchResultToJson), removed, rerank_depth: rerankDepth } };
    }
    case "rerankSkipped":
      return { event: "rerank_skipped", data: { reason: event.value } };
    case "done":
      return { event: "done", data: { latency_ms: event.value.latencyMs } };
    case undefined:
      throw new TypeError("an event without its part");
  }
}

export function rerankResponseToJson({ results, model, id, usage }: wire.RerankResponse): object {
  return {
    id,
    model,
    results: results.map(({ index, relevanceScore, document }) => ({ index, relevance_score: relevanceScore, document })),
    usage: usage && { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens, total_tokens: usage.totalTokens },
  };
}

export function createTokenResponseToJson({ token, expiresAt }: wire.CreateTokenResponse): object {
  return { token, expires_at: time(expiresAt) };
}

export function listAuditResponseToJson({ results, nextCursor }: wire.ListAuditResponse): object {
  return { results: results.map(auditEventToJson), next_cursor: nextCursor };
}

export function erasureReceiptToJson({ id, erasedAt, backupsUnreadableAt, rootKeyId, memories, bytes, rootKeys, signed }: wire.ErasureReceipt): object {
  return {
    id,
    erased_at: time(erasedAt),
    backups_unreadable_at: time(backupsUnreadableAt),
    memories,
    // Exact up to 2^53: no tenant has so many bytes.
    bytes: Number(bytes),
    root_key_id: rootKeyId,
    root_keys: rootKeys.map((root) => ({ id: root.id, version: root.version, destroyed_at: time(root.destroyedAt) })),
    signed,
  };
}

function auditEventToJson({ n, at, actor, action, target, outcome, mac }: wire.AuditEvent): object {
  // Exact up to 2^53: no tenant has so many events.
  return { n: Number(n), at: time(at), actor: actor.toString("hex"), action, target: target?.toString("hex"), outcome, mac: mac.toString("hex") };
}

function searchResultToJson({ memory, score, passage, rank, originalRank, scores }: wire.SearchResult): object {
  return { memory: memory && memoryToJson(memory), score, passage, rank, original_rank: originalRank, scores: scores && scoresToJson(scores) };
}

function scoresToJson({ similarity, similarityRank, bm25, bm25Rank, context, decay, fused, rerank }: wire.Scores): object {
  return { similarity, similarity_rank: similarityRank, bm25, bm25_rank: bm25Rank, context, decay, fused, rerank };
}

function time(at: Timestamp | undefined): string | undefined {
  return at && toRfc3339(at);
}
