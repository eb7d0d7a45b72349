import { USER_SCOPES } from "@memseal/auth";
import { LIMITS } from "@memseal/contracts";
import { closed, label, list, nullable, ref, text, time, type Properties, type Schema } from "./schema.js";

const USER_ID = text(LIMITS.userIdCharacters, "Names no user: the credential does. A value that is not the credential's own user is refused (403).");
const TEXT = text(LIMITS.textCharacters);
const TAGS = list(text(LIMITS.tagCharacters), { min: 0, max: LIMITS.tags, description: "Each is kept once, in this order." });
const METADATA: Schema = {
  type: "object",
  description:
    `Any JSON, at most ${LIMITS.metadataBytes} bytes of it and ${LIMITS.jsonDepth} deep; no member is called __proto__. `
    + `Filters reach whole top-level members, the smallest first, up to ${LIMITS.filterableBytes} bytes.`,
};
const OCCURRED_AT = time("When it happened. Absent: when it was stored.");
const EXPIRES_AT = time("When it is deleted by itself; later than now.");
const VECTOR: Schema = list(
  { type: "number" },
  { description: "The caller's own embedding, of the dimension the user's other vectors have; not all zero. Absent: the service embeds." },
);
const FILTERS = ref("Filter");
const QUERY: Schema = { ...text(LIMITS.queryCharacters), pattern: "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$" };
/** Words alone take neither a vector nor a bound on similarity. */
const LEXICAL_WITH_EMBEDDING: Schema = {
  properties: { mode: { const: "lexical" } },
  required: ["mode"],
  anyOf: [{ required: ["vector"] }, { required: ["threshold"] }],
};
const PAGE: Properties = {
  limit: { type: "integer", minimum: 1, maximum: LIMITS.listPage, default: LIMITS.listPageDefault },
  cursor: text(LIMITS.cursorCharacters, "`next_cursor` of the page before."),
};

/** Bodies; `libs/contracts/src/from-json.ts` reads them. */
export const REQUEST_SCHEMAS: Properties = {
  NewMemory: closed({
    text: TEXT,
    key: text(LIMITS.keyCharacters, "The caller's own id for it, unique to the user: a memory with this key is updated, where there is one."),
    agent_id: label("The agent it belongs to."),
    run_id: label("Appends it to this conversation."),
    role: label("Who speaks, in a conversation."),
    source: label("Where it comes from."),
    tags: TAGS,
    metadata: METADATA,
    occurred_at: OCCURRED_AT,
    expires_at: EXPIRES_AT,
    vector: VECTOR,
  }, { required: ["text"] }),
  Message: closed({
    role: label("Who speaks."),
    content: TEXT,
    occurred_at: OCCURRED_AT,
    metadata: METADATA,
    vector: VECTOR,
  }, { required: ["role", "content"], description: "One turn of a conversation; becomes a memory with its role, run and position." }),
  AddMemories: closed({
    memories: list(ref("NewMemory"), { max: LIMITS.memoriesPerCall }),
    user_id: USER_ID,
  }, { required: ["memories"], description: `Together they may make ${LIMITS.chunksPerCall} searchable spans.` }),
  AddMessages: closed({
    messages: list(ref("Message"), { max: LIMITS.memoriesPerCall, description: "In the order they were said." }),
    run_id: label("The conversation."),
    agent_id: label("The agent it belongs to."),
    user_id: USER_ID,
  }, { required: ["messages", "run_id"] }),
  AddRequest: { oneOf: [ref("AddMemories"), ref("AddMessages")] },
  UpdateRequest: closed({
    text: TEXT,
    agent_id: nullable(label("The agent it belongs to.")),
    role: nullable(label("Who speaks. The embedder reads it with the text; a caller's own vector stays as it is.")),
    source: nullable(label("Where it comes from. Without a role it is who speaks.")),
    tags: nullable(TAGS),
    metadata: nullable({ ...METADATA, description: "Replaces the whole object." }),
    occurred_at: nullable(OCCURRED_AT),
    expires_at: nullable(EXPIRES_AT),
    vector: { ...VECTOR, description: "The caller's own embedding of the new text." },
    user_id: USER_ID,
  }, { minProperties: 1, dependentRequired: { vector: ["text"] }, description: "JSON merge patch (RFC 7396) of a memory's own fields: what is absent stays, what is null goes." }),
  ListRequest: closed({ ...PAGE, filters: FILTERS, user_id: USER_ID }),
  DeleteManyRequest: closed({
    ids: list({ type: "string", format: "uuid" }, { max: LIMITS.memoriesPerCall, description: "Absent and foreign ids are not counted." }),
    key: text(LIMITS.keyCharacters),
    filters: FILTERS,
    all: { const: true, description: "Every memory of the user." },
    dry_run: { type: "boolean", default: false, description: "Counts and deletes nothing." },
    user_id: USER_ID,
  }, { oneOf: ["ids", "key", "filters", "all"].map((name) => ({ required: [name] })), description: "Exactly one of ids, key, filters and all." }),
  Decay: closed(
    { half_life_days: { type: "number", exclusiveMinimum: 0, maximum: LIMITS.halfLifeDays } },
    { required: ["half_life_days"], description: "Lowers the score of what is long past: a memory that happened so long ago counts half." },
  ),
  SearchRequest: closed({
    query: QUERY,
    top_k: { type: "integer", minimum: 1, maximum: LIMITS.topK, default: LIMITS.topKDefault },
    filters: FILTERS,
    vector: { ...VECTOR, description: "The caller's own embedding of the query." },
    rerank: { type: "boolean", default: true },
    explain: { type: "boolean", default: false, description: "Adds `scores` to each result." },
    mode: { enum: ["hybrid", "lexical", "dense"], default: "hybrid", description: "What decides, before any reranking: words and embeddings, words alone, or embeddings alone." },
    context: { type: "boolean", default: true, description: "Whether neighbours in the run and the best span of the memory lend part of their scores." },
    threshold: { type: "number", minimum: -1, maximum: 1, description: "Least cosine similarity." },
    decay: ref("Decay"),
    as_of: time("Leaves out what occurred later. Current versions: not time travel."),
    user_id: USER_ID,
  }, { required: ["query"], not: LEXICAL_WITH_EMBEDDING }),
  RerankRequest: closed({
    query: QUERY,
    documents: list({ anyOf: [TEXT, closed({ text: TEXT }, { required: ["text"] })] }, { max: LIMITS.rerankDocuments, description: "Texts, or objects with a text. The model reads 256 tokens of query and document together, 64 of the query." }),
    top_n: { type: "integer", minimum: 1, maximum: LIMITS.rerankDocuments, description: "How many of the best to return; absent: all." },
    model: label("The model that must score; any other than the one that is served is refused. Absent: the one that is served."),
    return_documents: { type: "boolean", default: false, description: "Adds `document` to each result." },
    raw_scores: { type: "boolean", default: false, description: "Logits, as the cross-encoder gives them, rather than scores of 0 to 1." },
  }, { required: ["query", "documents"], description: "As Cohere, Jina and others have it; `raw_scores` is ours." }),
  CreateTokenRequest: closed({
    user_id: text(LIMITS.userIdCharacters, "Whom the token acts for."),
    scopes: list({ enum: USER_SCOPES }, { max: 3, description: "At most those of the delegate key." }),
    ttl_s: { type: "integer", minimum: 1, maximum: LIMITS.tokenTtlS, description: "Seconds until it expires." },
  }, { required: ["user_id", "scopes", "ttl_s"] }),
  EraseRequest: closed({ user_id: USER_ID }),
};
