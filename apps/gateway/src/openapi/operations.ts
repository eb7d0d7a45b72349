import { LIMITS } from "@memseal/contracts";
import type { ErrorCode } from "@memseal/errors";
import { ANSWER_EXAMPLES, REQUEST_EXAMPLES } from "./examples.js";
import { IDEMPOTENCY_KEY, IF_MATCH } from "./headers.js";
import { ref, text, type Parameter, type Schema } from "./schema.js";

export type Verb = "get" | "post" | "patch" | "delete";

/** What an operation answers when nothing is at fault. */
export interface Success {
  status: 200 | 201;
  description: string;
  /** Whether it is one version of a memory. */
  isTagged?: true;
  content: Readonly<Record<string, { schema: Schema; example?: unknown }>>;
}

export interface Operation {
  verb: Verb;
  path: string;
  id: string;
  tag: "memories" | "search" | "administration" | "operations";
  summary: string;
  description?: string;
  /** What the credential must hold; absent: nobody is asked who they are. */
  scope?: "read" | "write" | "admin" | "delegate";
  query?: readonly Parameter[];
  headers?: readonly Parameter[];
  body?: { schema: Schema; examples: Readonly<Record<string, unknown>>; mediaTypes?: readonly string[]; isOptional?: true };
  success: Success;
  /** Beside those that any operation of its kind may answer. */
  errors?: readonly ErrorCode[];
}

const json = (name: string, example: unknown): Success["content"] => ({ "application/json": { schema: ref(name), example } });

const LIMIT: Parameter = { name: "limit", description: "How many a page, at most.", schema: { type: "integer", minimum: 1, maximum: LIMITS.listPage, default: LIMITS.listPageDefault } };
const CURSOR: Parameter = { name: "cursor", description: "`next_cursor` of the page before.", schema: text(LIMITS.cursorCharacters) };
const USER_ID: Parameter = { name: "user_id", description: "Must be the credential's own user.", schema: text(LIMITS.userIdCharacters) };

const LIST_DESCRIPTION = "A page ends at `limit`, or where its texts and metadata would make more than 1 MiB: it may have fewer, and has one at least. `next_cursor` alone says whether there is more.";
const SEARCH_DESCRIPTION = "At most `top_k` results, and fewer where they are large: the last that would make more than 4 MB, passages included, are left out.";
const RERANK_DESCRIPTION =
  "As clients of Cohere, Jina and others send it. It counts against the rate `rerank`, not `read`, and is behind no breaker: where documents cannot be scored in time, it fails. "
  + "Over gRPC `RerankStream` gives each score as soon as it is known.";

const CHANGES: readonly ErrorCode[] = ["already_exists", "aborted"];

/** Every route of the gateway. */
export const OPERATIONS: readonly Operation[] = [
  {
    verb: "post", path: "/v1/memories", id: "add", tag: "memories", scope: "write",
    summary: "Store memories, or the messages of a conversation, all or none",
    body: { schema: ref("AddRequest"), examples: REQUEST_EXAMPLES.add },
    headers: [IDEMPOTENCY_KEY],
    success: { status: 201, description: "Stored.", content: json("AddResponse", ANSWER_EXAMPLES.add) },
    errors: CHANGES,
  },
  {
    verb: "post", path: "/v1/memories/search", id: "search", tag: "search", scope: "read",
    summary: "Find memories by meaning and words",
    description: SEARCH_DESCRIPTION,
    body: { schema: ref("SearchRequest"), examples: REQUEST_EXAMPLES.search },
    success: { status: 200, description: "The best memories, and what was done to find them.", content: json("SearchAnswer", ANSWER_EXAMPLES.search) },
  },
  {
    verb: "post", path: "/v1/memories/search/stream", id: "searchStream", tag: "search", scope: "read",
    summary: "Find memories, the fused order at once",
    description: SEARCH_DESCRIPTION + " Server-sent events: `results`, then `reranked` or `rerank_skipped`, then `done`; `error` where it fails after they began. Their data are the members of the schema `SearchEvents`.",
    body: { schema: ref("SearchRequest"), examples: REQUEST_EXAMPLES.searchStream },
    success: {
      status: 200,
      description: "The events.",
      content: {
        "text/event-stream": {
          schema: { type: "string" },
          example: ANSWER_EXAMPLES.searchStream.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join(""),
        },
      },
    },
  },
  {
    verb: "get", path: "/v1/memories", id: "list", tag: "memories", scope: "read",
    summary: "List memories, newest first",
    description: LIST_DESCRIPTION,
    query: [LIMIT, CURSOR, { name: "filters", description: "A filter, as JSON.", json: ref("Filter") }, USER_ID],
    success: { status: 200, description: "One page.", content: json("ListResponse", ANSWER_EXAMPLES.list) },
  },
  {
    verb: "post", path: "/v1/memories/list", id: "listByBody", tag: "memories", scope: "read",
    summary: "List memories by a filter that does not belong into a URL",
    description: LIST_DESCRIPTION,
    body: { schema: ref("ListRequest"), examples: REQUEST_EXAMPLES.listByBody },
    success: { status: 200, description: "One page, newest first.", content: json("ListResponse", ANSWER_EXAMPLES.list) },
  },
  {
    verb: "get", path: "/v1/memories/{id}", id: "get", tag: "memories", scope: "read",
    summary: "Read one memory",
    success: { status: 200, description: "The memory.", isTagged: true, content: json("Memory", ANSWER_EXAMPLES.get) },
    errors: ["not_found", "data_loss"],
  },
  {
    verb: "patch", path: "/v1/memories/{id}", id: "update", tag: "memories", scope: "write",
    summary: "Change a memory",
    body: { schema: ref("UpdateRequest"), examples: REQUEST_EXAMPLES.update, mediaTypes: ["application/merge-patch+json", "application/json"] },
    headers: [IDEMPOTENCY_KEY, IF_MATCH],
    success: { status: 200, description: "The memory as it is now.", isTagged: true, content: json("Memory", ANSWER_EXAMPLES.update) },
    errors: ["not_found", "data_loss", "failed_precondition", ...CHANGES],
  },
  {
    verb: "delete", path: "/v1/memories/{id}", id: "delete", tag: "memories", scope: "write",
    summary: "Delete a memory",
    headers: [IDEMPOTENCY_KEY, IF_MATCH],
    success: { status: 200, description: "It is gone.", content: json("DeleteResponse", ANSWER_EXAMPLES.delete) },
    errors: ["not_found", "failed_precondition", ...CHANGES],
  },
  {
    verb: "get", path: "/v1/memories/{id}/history", id: "history", tag: "memories", scope: "read",
    summary: "List the versions of a memory",
    success: { status: 200, description: "Its versions, newest first.", content: json("HistoryResponse", ANSWER_EXAMPLES.history) },
    errors: ["not_found", "data_loss"],
  },
  {
    verb: "post", path: "/v1/memories/delete", id: "deleteMany", tag: "memories", scope: "write",
    summary: "Delete memories by ids, key or filter, or all of them",
    body: { schema: ref("DeleteManyRequest"), examples: REQUEST_EXAMPLES.deleteMany },
    headers: [IDEMPOTENCY_KEY],
    success: { status: 200, description: "How many are gone, or with `dry_run` would be.", content: json("DeleteResponse", ANSWER_EXAMPLES.delete) },
    errors: CHANGES,
  },
  {
    verb: "post", path: "/v1/rerank", id: "rerank", tag: "search", scope: "read",
    summary: "Score the caller's own documents; nothing of them is stored",
    description: RERANK_DESCRIPTION,
    body: { schema: ref("RerankRequest"), examples: REQUEST_EXAMPLES.rerank },
    success: { status: 200, description: "The documents, best first.", content: json("RerankResponse", ANSWER_EXAMPLES.rerank) },
  },
  {
    verb: "post", path: "/v2/rerank", id: "rerankV2", tag: "search", scope: "read",
    summary: "The same as `/v1/rerank`, where clients of Cohere's second API look for it",
    body: { schema: ref("RerankRequest"), examples: REQUEST_EXAMPLES.rerank },
    success: { status: 200, description: "The documents, best first.", content: json("RerankResponse", ANSWER_EXAMPLES.rerank) },
  },
  {
    verb: "post", path: "/v1/tokens", id: "createToken", tag: "administration", scope: "delegate",
    summary: "Make a short-lived token for exactly one user",
    body: { schema: ref("CreateTokenRequest"), examples: REQUEST_EXAMPLES.createToken },
    success: { status: 201, description: "The token.", content: json("CreateTokenResponse", ANSWER_EXAMPLES.createToken) },
  },
  {
    verb: "get", path: "/v1/audit", id: "listAudit", tag: "administration", scope: "admin",
    summary: "List what was done to the user's memories, newest first",
    query: [LIMIT, CURSOR],
    success: { status: 200, description: "One page.", content: json("ListAuditResponse", ANSWER_EXAMPLES.listAudit) },
  },
  {
    verb: "post", path: "/v1/erasures", id: "erase", tag: "administration", scope: "admin",
    summary: "Destroy the user's keys: nothing of the user is ever opened again",
    description: "Sent again under its Idempotency-Key it is answered with the same receipt, and erases nothing of what was stored since. Without one it is 404 where nothing is stored of the user any more.",
    body: { schema: ref("EraseRequest"), examples: REQUEST_EXAMPLES.erase, isOptional: true },
    headers: [IDEMPOTENCY_KEY],
    success: { status: 200, description: "A receipt.", content: json("ErasureReceipt", ANSWER_EXAMPLES.erase) },
    errors: ["not_found", "aborted"],
  },
  {
    verb: "get", path: "/v1/erasures/{id}", id: "getErasure", tag: "administration", scope: "admin",
    summary: "Read the receipt of an erasure again, with what is known of it by now",
    description: "`backups_unreadable_at` is there once every version of the root key is destroyed that a backup's keys of the user may be wrapped by.",
    success: { status: 200, description: "A receipt.", content: json("ErasureReceipt", ANSWER_EXAMPLES.getErasure) },
    errors: ["not_found"],
  },
  {
    verb: "get", path: "/.well-known/memseal-receipt-keys.json", id: "receiptKeys", tag: "operations",
    summary: "Public keys that receipts of erasures are verified with",
    success: { status: 200, description: "A JWK set.", content: json("KeySet", ANSWER_EXAMPLES.receiptKeys) },
  },
  {
    verb: "get", path: "/healthz", id: "isUp", tag: "operations",
    summary: "Whether the process answers",
    success: { status: 200, description: "It does.", content: json("Health", { status: "up" }) },
  },
  {
    verb: "get", path: "/readyz", id: "isReady", tag: "operations",
    summary: "Whether it can serve: the indexer is reachable, and it is not about to stop",
    success: { status: 200, description: "It can.", content: json("Health", { status: "ready" }) },
    errors: ["unavailable"],
  },
  {
    verb: "get", path: "/metrics", id: "metrics", tag: "operations",
    summary: "What it counted, for Prometheus",
    success: { status: 200, description: "The metrics.", content: { "text/plain": { schema: { type: "string" } } } },
  },
  {
    verb: "get", path: "/docs", id: "docs", tag: "operations",
    summary: "This document, to read",
    success: { status: 200, description: "A page that loads nothing from elsewhere.", content: { "text/html": { schema: { type: "string" } } } },
  },
  {
    verb: "get", path: "/docs/openapi.json", id: "openapi", tag: "operations",
    summary: "This document",
    success: { status: 200, description: "OpenAPI 3.1.", content: { "application/json": { schema: { type: "object" } } } },
  },
  {
    verb: "get", path: "/docs/assets/{name}", id: "docsAsset", tag: "operations",
    summary: "A part of the page",
    success: { status: 200, description: "Style or script.", content: { "text/css": { schema: { type: "string" } }, "text/javascript": { schema: { type: "string" } } } },
    errors: ["not_found"],
  },
];
