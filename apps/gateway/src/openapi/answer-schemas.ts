import { CODES } from "@memseal/telemetry";
import { DENSE_SKIPS, RERANK_SKIPS } from "../answer-query.js";
import { count, list, open, ref, time, type Properties, type Schema } from "./schema.js";

const ID: Schema = { type: "string", format: "uuid" };
const STRING: Schema = { type: "string" };
const NUMBER: Schema = { type: "number" };
const TAGS = list(STRING, { min: 0 });
const LATENCY = ref("LatencyMs");
const NEXT_CURSOR: Schema = { type: "string", description: "Absent on the last page." };
const REFERENCE: Schema = { type: "string", pattern: "^[0-9a-f]{64}$", description: "A blind reference: equal for equal values, and says nothing else." };
const results = (name: string, description?: string): Schema => list(ref(name), { min: 0, ...(description === undefined ? {} : { description }) });

const RERANK_SKIPPED: Schema = { enum: RERANK_SKIPS, description: "Why the order is the fused one: `disabled` by the request, `off` by the operator." };
const RERANK_DEPTH = count("How many of the best candidates the cross-encoder scored: fewer than its depth where time did not allow all. The others keep their order behind them.");

/** Answers; `libs/contracts/src/to-json.ts` writes them. What is absent is left out, never null. */
export const ANSWER_SCHEMAS: Properties = {
  Memory: open({
    id: ID,
    text: STRING,
    key: STRING,
    agent_id: STRING,
    run_id: STRING,
    position: count("Where it stands in its run."),
    role: STRING,
    source: STRING,
    tags: TAGS,
    metadata: { type: "object" },
    occurred_at: time("When it happened; created_at where the caller did not say."),
    created_at: time("When it was stored."),
    updated_at: time("When it was changed last."),
    expires_at: time("When it is deleted by itself."),
    version: count("1 for a new memory.", 1),
  }, ["key", "agent_id", "run_id", "position", "role", "source", "expires_at"]),
  AddedMemory: open({
    id: ID,
    created_at: time("When it was stored."),
    version: count("1 for a new memory.", 1),
    event: { enum: ["create", "update", "duplicate"], description: "update: the key was known; duplicate: the same memory was there already and is the one named here." },
    position: count("Where it stands in its run."),
  }, ["position"]),
  AddResponse: open({ results: results("AddedMemory", "In the order of the request.") }),
  ListResponse: open({ results: results("Memory", "Newest first."), next_cursor: NEXT_CURSOR }, ["next_cursor"]),
  MemoryVersion: open({ event: { enum: ["create", "update"] }, at: time("When it came to be."), memory: ref("Memory") }),
  HistoryResponse: open({ results: results("MemoryVersion", "Newest first; the newest 50 are kept.") }),
  DeleteResponse: open({ deleted: count("How many memories.") }),
  Passage: open({
    index: count("Which span of the memory matched best, counted from 0."),
    start: count("Unicode code points."),
    end: count("Unicode code points, exclusive."),
    text: STRING,
  }),
  Scores: open({
    similarity: { ...NUMBER, description: "Cosine of query and passage; absent when the query was not embedded." },
    similarity_rank: count("Rank by similarity alone among all that pass the filter.", 1),
    bm25: NUMBER,
    bm25_rank: count("Absent when no query term occurs in the passage.", 1),
    context: { ...NUMBER, description: "What neighbours in the run and the best span of the memory lent." },
    decay: { ...NUMBER, minimum: 0, maximum: 1, description: "Factor by age." },
    fused: { ...NUMBER, description: "Sum of the z-scores of similarity and bm25; of one of them alone where the mode says so." },
    rerank: { ...NUMBER, description: "The cross-encoder's logit." },
  }, ["similarity", "similarity_rank", "bm25_rank", "context", "decay", "rerank"]),
  SearchResult: open({
    memory: ref("Memory"),
    score: NUMBER,
    passage: ref("Passage"),
    rank: count("From 1.", 1),
    original_rank: count("Rank before reranking.", 1),
    scores: ref("Scores"),
  }, ["original_rank", "scores"]),
  LatencyMs: open({ embed: NUMBER, search: NUMBER, rerank: NUMBER, total: NUMBER }),
  SearchAnswer: open({
    results: results("SearchResult", "Best first, one for each memory."),
    reranked: { type: "boolean" },
    rerank_skipped: RERANK_SKIPPED,
    rerank_depth: RERANK_DEPTH,
    dense: { type: "boolean", description: "Whether meaning counted; otherwise words alone." },
    dense_skipped: { enum: DENSE_SKIPS, description: "Why words alone decided." },
    total_matching: count("Memories that pass the filter."),
    integrity_failures: count("Memories left out because their sealed rows do not open."),
    unknown_fields: list(STRING, { min: 0, description: "Metadata fields of the filter that no memory of this user has." }),
    latency_ms: LATENCY,
    request_id: STRING,
  }, ["rerank_skipped", "dense_skipped"]),
  RankedMemory: open({ id: ID, score: NUMBER }),
  Reranked: open({
    order: results("RankedMemory", "The final results, best first."),
    added: results("SearchResult", "Those of them that were not among the first results."),
    removed: list(ID, { min: 0, description: "First results that are no longer among them." }),
    rerank_depth: RERANK_DEPTH,
  }),
  SearchEvents: {
    ...open({
      results: ref("SearchAnswer"),
      reranked: ref("Reranked"),
      rerank_skipped: open({ reason: RERANK_SKIPPED }),
      done: open({ latency_ms: LATENCY }),
      error: ref("Problem"),
    }),
    required: [],
    description: "The `data` of each server-sent event, by the event's name.",
  },
  RerankDocument: open({ text: STRING }),
  RerankedDocument: open({
    index: count("Of the document in the request."),
    relevance_score: { ...NUMBER, description: "0 to 1, with `raw_scores` the logit; the higher, the more relevant." },
    document: ref("RerankDocument"),
  }, ["document"]),
  RerankUsage: {
    ...open({ prompt_tokens: count("Read of queries and documents."), completion_tokens: { const: 0 }, total_tokens: count("The same.") }),
    description: "What the model read. It writes nothing.",
  },
  RerankResponse: open({ id: { ...STRING, description: "Of the request, as in `x-request-id`." }, model: STRING, results: results("RerankedDocument", "Best first; equals as they were sent."), usage: ref("RerankUsage") }),
  CreateTokenResponse: open({ token: STRING, expires_at: time("From then on it is refused.") }),
  AuditEvent: open({
    n: count("From 1, without a gap.", 1),
    at: time("When it was done."),
    actor: REFERENCE,
    action: STRING,
    target: REFERENCE,
    outcome: STRING,
    mac: { ...REFERENCE, description: "Over this event and the mac before it." },
  }, ["target"]),
  ListAuditResponse: open({ results: results("AuditEvent", "Newest first."), next_cursor: NEXT_CURSOR }, ["next_cursor"]),
  ErasureReceipt: open({
    id: ID,
    erased_at: time("From then on no running system opens a row of the user."),
    backups_unreadable_at: time("When the last of `root_keys` was destroyed; absent while one is not."),
    memories: count("How many there were."),
    bytes: count("Of their ciphertexts, kept versions included."),
    root_key_id: { type: "string", description: "Ids of `root_keys`, comma-separated." },
    root_keys: results("RootKeyVersion", "Those that keys of the user in a backup may be wrapped by."),
    signed: { type: "string", description: "The same, signed: a compact JWS (EdDSA), to be verified with the keys of `/.well-known/memseal-receipt-keys.json`. Empty where the service has no key for it." },
  }, ["backups_unreadable_at"]),
  RootKeyVersion: open({
    id: STRING,
    version: count("From 1; absent where it is not known here.", 1),
    destroyed_at: time("From then on no backup opens by it."),
  }, ["version", "destroyed_at"]),
  KeySet: open({ keys: { type: "array", items: { type: "object" }, description: "RFC 7517." } }),
  Health: open({ status: { enum: ["up", "ready"] } }),
  Problem: {
    ...open({
      type: { type: "string", pattern: "^urn:memseal:problem:[a-z_]+$" },
      title: STRING,
      status: { type: "integer", minimum: 400, maximum: 599 },
      detail: { type: "string", description: "What to do about it; holds nothing of the request." },
      code: {
        enum: CODES.filter((code) => code !== "ok"),
        description: "The canonical gRPC code, in lower case.",
      },
      field: { type: "string", description: "Path of the field that is at fault, such as `memories[3].text`." },
      request_id: STRING,
    }, ["field"]),
    description: "RFC 9457.",
  },
};
