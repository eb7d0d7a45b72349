// What the service takes and gives, with the names of this language. Lengths and counts are limited by the service,
// which answers 400 with the field's path.

/** A time with its offset as in RFC 3339, such as `2023-05-08T13:56:00Z`. */
export type Time = string;

/** Values of metadata: what JSON has. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** Names and values of the caller's own; names travel as they are. */
export type Metadata = Readonly<Record<string, Json>>;

/** The caller's own embedding: as many numbers as all of its memories have. */
export type Vector = readonly number[] | Float32Array;

export interface Memory {
  id: string;
  text: string;
  /** The caller's own id for it, unique to the user. */
  key?: string;
  agentId?: string;
  /** The conversation it belongs to. */
  runId?: string;
  /** Where it stands in its run, from 0. */
  position?: number;
  /** Who speaks, in a conversation. */
  role?: string;
  source?: string;
  tags: string[];
  metadata: Record<string, Json>;
  occurredAt: Time;
  createdAt: Time;
  updatedAt: Time;
  expiresAt?: Time;
  /** 1 for a new memory; `ifMatch` of an update. */
  version: number;
}

export interface NewMemory {
  text: string;
  /** A memory with this key is updated, where there is one. */
  key?: string | undefined;
  agentId?: string | undefined;
  /** Appends to this conversation. */
  runId?: string | undefined;
  role?: string | undefined;
  source?: string | undefined;
  tags?: readonly string[] | undefined;
  metadata?: Metadata | undefined;
  /** When it happened; absent: now. */
  occurredAt?: Time | Date | undefined;
  /** When it is deleted by itself. */
  expiresAt?: Time | Date | undefined;
  /** Absent: the service embeds the text. */
  vector?: Vector | undefined;
}

export interface Message {
  role: string;
  content: string;
  occurredAt?: Time | Date | undefined;
  metadata?: Metadata | undefined;
  vector?: Vector | undefined;
}

/** Turns in the order they were said; each becomes a memory of the run. */
export interface Conversation {
  messages: readonly Message[];
  runId: string;
  agentId?: string | undefined;
}

export interface AddedMemory {
  id: string;
  createdAt: Time;
  version: number;
  /** `duplicate`: the same memory was there already and is the one named here. */
  event: "create" | "update" | "duplicate";
  position?: number;
}

/** An absent field stays as it is, null takes its value away. */
export interface MemoryChanges {
  text?: string | undefined;
  agentId?: string | null | undefined;
  role?: string | null | undefined;
  source?: string | null | undefined;
  /** Replaces all tags. */
  tags?: readonly string[] | null | undefined;
  /** Replaces the whole object. */
  metadata?: Metadata | null | undefined;
  occurredAt?: Time | Date | null | undefined;
  expiresAt?: Time | Date | null | undefined;
  /** The caller's own embedding of the new text. */
  vector?: Vector | undefined;
}

export interface MemoryVersion {
  event: "create" | "update";
  at: Time;
  /** As it was from then on. */
  memory: Memory;
}

type Scalar = string | number | boolean | null | Date;

/** What a field is compared with; a bare value is `eq`. */
export type Condition =
  | Scalar
  | {
      eq?: Scalar | undefined;
      ne?: Scalar | undefined;
      gt?: number | string | Date | undefined;
      gte?: number | string | Date | undefined;
      lt?: number | string | Date | undefined;
      lte?: number | string | Date | undefined;
      in?: readonly Scalar[] | undefined;
      nin?: readonly Scalar[] | undefined;
      /** Membership in an array, or substring. */
      contains?: string | number | boolean | null | undefined;
      icontains?: string | undefined;
      exists?: boolean | undefined;
    };

/** Conditions that must all hold. What cannot be run is refused by the service with its path, never ignored. */
export interface Filters {
  AND?: readonly Filters[] | undefined;
  OR?: readonly Filters[] | undefined;
  NOT?: Filters | undefined;
  id?: Condition | undefined;
  key?: Condition | undefined;
  agentId?: Condition | undefined;
  runId?: Condition | undefined;
  role?: Condition | undefined;
  source?: Condition | undefined;
  tags?: Condition | undefined;
  occurredAt?: Condition | undefined;
  createdAt?: Condition | undefined;
  updatedAt?: Condition | undefined;
  expiresAt?: Condition | undefined;
  [metadata: `metadata.${string}`]: Condition | undefined;
}

export interface SearchRequest {
  /** 1 to 100; absent: 10. */
  topK?: number | undefined;
  filters?: Filters | undefined;
  /** Least cosine similarity, -1 to 1. */
  threshold?: number | undefined;
  /** Absent: true. */
  rerank?: boolean | undefined;
  /** Adds `scores` to each result. */
  explain?: boolean | undefined;
  /** A memory that happened so long ago counts half; absent: age does not count. */
  decay?: { halfLifeDays: number } | undefined;
  /** Leaves out what occurred later. */
  asOf?: Time | Date | undefined;
  /** The caller's own embedding of the query. */
  vector?: Vector | undefined;
  /** What decides before reranking; absent: hybrid. Mode lexical takes no vector and no threshold. */
  mode?: "hybrid" | "lexical" | "dense" | undefined;
  /** Whether neighbours in the run and the best span of the memory lend part of their scores; absent: true. */
  context?: boolean | undefined;
}

export interface Passage {
  /** Which span of the memory matched best, counted from 0. */
  index: number;
  /** Unicode code points, end exclusive. */
  start: number;
  end: number;
  text: string;
}

export interface Scores {
  /** Cosine of query and passage; absent when the query was not embedded. */
  similarity?: number;
  similarityRank?: number;
  bm25: number;
  bm25Rank?: number;
  /** What neighbours in the run and the best span of the memory lent. */
  context?: number;
  /** Factor by age, 0 to 1. */
  decay?: number;
  fused: number;
  /** The cross-encoder's logit. */
  rerank?: number;
}

export interface SearchResult {
  memory: Memory;
  score: number;
  passage: Passage;
  /** From 1. */
  rank: number;
  /** Rank before reranking. */
  originalRank?: number;
  /** With `explain`. */
  scores?: Scores;
}

export interface LatencyMs {
  embed: number;
  search: number;
  rerank: number;
  total: number;
}

export interface SearchAnswer {
  results: SearchResult[];
  reranked: boolean;
  /** `disabled` by the request, `off` by the operator. */
  rerankSkipped?: "disabled" | "off" | "timeout" | "open" | "overloaded" | "error";
  /** How many of the best candidates the cross-encoder scored: fewer than its depth where time did not allow all. */
  rerankDepth: number;
  dense: boolean;
  denseSkipped?: "timeout" | "open" | "overloaded" | "error";
  /** Memories that pass the filter. */
  totalMatching: number;
  /** Memories left out because their sealed rows do not open. */
  integrityFailures: number;
  /** Metadata fields of the filter that no memory of this user has. */
  unknownFields: string[];
  latencyMs: LatencyMs;
  requestId: string;
}

/** `results`, then `reranked` or `rerankSkipped`, then `done`. */
export type SearchEvent =
  | { type: "results"; answer: SearchAnswer }
  | {
      type: "reranked";
      /** The final results, best first. */
      order: { id: string; score: number }[];
      /** Those of them that were not among the first results. */
      added: SearchResult[];
      /** Ids of first results that are no longer among them. */
      removed: string[];
      /** As in the answer. */
      rerankDepth: number;
    }
  | { type: "rerankSkipped"; reason: string }
  | { type: "done"; latencyMs: LatencyMs };

export interface Page<T> {
  results: T[];
  /** Absent on the last page. */
  nextCursor?: string;
}

export interface ListRequest {
  filters?: Filters | undefined;
  /** Memories a page, 1 to 100; absent: 50. */
  limit?: number | undefined;
}

/** Which memories to delete; says how it means "all". */
export type Selection = { ids: readonly string[] } | { key: string } | { filters: Filters } | { all: true };

export interface Deleted {
  /** With `dryRun`: how many it would be. */
  deleted: number;
}

/** Holds no user id, no key and no text: who and what are blind references, in hex. */
export interface AuditEvent {
  /** From 1, without a gap. */
  n: number;
  at: Time;
  actor: string;
  action: string;
  target?: string;
  outcome: string;
  /** Over this event and the mac before it. */
  mac: string;
}

export interface ErasureReceipt {
  /** From then on no running system opens a row of the user. */
  erasedAt: Time;
  /** When the last of `rootKeys` was destroyed; absent while one is not. */
  backupsUnreadableAt?: Time;
  /** Under which it can be read again. */
  id: string;
  /** How many there were, and the bytes of their ciphertexts. */
  memories: number;
  bytes: number;
  /** Ids of `rootKeys`, comma-separated. */
  rootKeyId: string;
  /** Versions of the root key that keys of the user in a backup may be wrapped by. */
  rootKeys: { id: string; version?: number; destroyedAt?: Time }[];
  /** The same, signed: a compact JWS, to be verified with the keys of `/.well-known/memseal-receipt-keys.json`; empty where the service has no key for it. */
  signed: string;
}

export interface RerankRequest {
  /** How many of the best to return; absent: all. */
  topN?: number | undefined;
  /** The model that must score; absent: the one that is served. */
  model?: string | undefined;
  /** Adds `document` to each result. */
  returnDocuments?: boolean | undefined;
  /** Logits rather than scores of 0 to 1. */
  rawScores?: boolean | undefined;
}

export interface RerankedDocument {
  /** Of the document in the request, from 0. */
  index: number;
  /** The higher, the more relevant. */
  relevanceScore: number;
  /** With `returnDocuments`. */
  document?: { text: string };
}

export interface RerankResponse {
  id: string;
  model: string;
  /** Best first. */
  results: RerankedDocument[];
  /** Tokens that the model read. */
  usage: { promptTokens: number; completionTokens: 0; totalTokens: number };
}

export interface CallOptions {
  /** Rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** For the call with all its retries; absent: the client's. */
  timeoutMs?: number | undefined;
}

export interface WriteOptions extends CallOptions {
  /**
   * Names this write, so that it takes effect once however often it is sent, for 24 h; absent: a new one a call, which
   * makes retries safe. Give one to make your own repetition safe, too.
   */
  idempotencyKey?: string | undefined;
}
