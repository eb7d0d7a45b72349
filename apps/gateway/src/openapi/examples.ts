/** One conversation with the service, as the document shows it. */
const ID = "01a20584-9b7e-7331-9f7e-854f115560fb";
const RUN = "support-2026-11-22";
const AT = "2026-11-22T23:08:26.369Z";
const REQUEST_ID = "512a3f9a-67c8-4d8b-8ce4-984249baf11c";
const REFERENCE = "70a12750d1a477d641f107a036fa67729da23885fd3dde9c31a8924521b9dc67";

const MEMORY = {
  id: ID,
  text: "She is allergic to walnuts.",
  key: "profile/allergies",
  source: "intake form",
  tags: ["health"],
  metadata: { severity: "high" },
  occurred_at: "2026-11-20T09:30:00.000Z",
  created_at: AT,
  updated_at: AT,
  version: 1,
} as const;

const RESULT = {
  memory: MEMORY,
  score: 4.357,
  passage: { index: 0, start: 0, end: 27, text: MEMORY.text },
  rank: 1,
  original_rank: 1,
} as const;

const LATENCY_MS = { embed: 1.998, search: 2.923, rerank: 29.317, total: 35.548 } as const;

const SEARCH = {
  query: "Which food must she avoid?",
  top_k: 5,
  filters: { tags: { contains: "health" }, OR: [{ "metadata.severity": "high" }, { occurred_at: { gte: "2026-11-01T00:00:00Z" } }] },
  explain: true,
} as const;

const ANSWER = {
  results: [{ ...RESULT, scores: { similarity: 0.513, similarity_rank: 1, bm25: 0, fused: 1.244, rerank: 6.226 } }],
  reranked: true,
  rerank_depth: 1,
  dense: true,
  total_matching: 1,
  integrity_failures: 0,
  unknown_fields: [],
  latency_ms: LATENCY_MS,
  request_id: REQUEST_ID,
} as const;

/** Bodies, by operation; more than one where the operation takes more than one shape. */
export const REQUEST_EXAMPLES = {
  add: {
    memories: {
      memories: [
        { text: MEMORY.text, key: MEMORY.key, source: MEMORY.source, tags: MEMORY.tags, metadata: MEMORY.metadata, occurred_at: "2026-11-20T10:30:00+01:00" },
        { text: "The bike is in the garage.", expires_at: "2127-01-01T00:00:00Z" },
      ],
    },
    messages: {
      messages: [{ role: "user", content: "I moved to Lisbon." }, { role: "assistant", content: "How do you like it?", metadata: { model: "m-1" } }],
      run_id: RUN,
      agent_id: "helpdesk",
    },
  },
  search: { search: SEARCH },
  searchStream: { search: { query: "Which food must she avoid?", decay: { half_life_days: 30 }, as_of: "2026-11-23T00:00:00Z", threshold: 0.2 } },
  listByBody: { filtered: { limit: 2, filters: { run_id: RUN, NOT: { role: "assistant" } } } },
  update: { patch: { text: "She is allergic to walnuts and hazelnuts.", tags: ["health", "food"], source: null } },
  deleteMany: {
    ids: { ids: [ID] },
    key: { key: MEMORY.key },
    filters: { filters: { run_id: RUN }, dry_run: true },
    all: { all: true },
  },
  rerank: { rerank: { query: "Which food must she avoid?", documents: ["The bike is in the garage.", MEMORY.text], top_n: 1, return_documents: true }, objects: { query: "Which food must she avoid?", documents: [{ text: MEMORY.text }], model: "memseal-rerank-mini", raw_scores: true } },
  createToken: { token: { user_id: "alice", scopes: ["read", "write"], ttl_s: 300 } },
  erase: { confirmed: { user_id: "alice" } },
} as const;

const ERASURE = {
  id: ID, erased_at: AT, memories: 3, bytes: 4_096, root_key_id: "7f3a9c0d11e2b4f65a8877c1d0e3f249",
  root_keys: [{ id: "7f3a9c0d11e2b4f65a8877c1d0e3f249", version: 1 }], signed: "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJtZW1zZWFsIn0.c2lnbmF0dXJl",
} as const;

/** Answers that are not faults, by operation. */
export const ANSWER_EXAMPLES = {
  add: { results: [{ id: ID, created_at: AT, version: 1, event: "create" }, { id: "01a20584-9b80-77c0-9a63-ab425d612c3e", created_at: AT, version: 1, event: "create" }] },
  search: ANSWER,
  searchStream: [
    ["results", { ...ANSWER, reranked: false, rerank_depth: 0 }],
    ["reranked", { order: [{ id: ID, score: RESULT.score }], added: [], removed: [], rerank_depth: 1 }],
    ["done", { latency_ms: LATENCY_MS }],
  ],
  list: { results: [MEMORY], next_cursor: "bm90IGEgcmVhbCBjdXJzb3I" },
  get: MEMORY,
  update: { ...MEMORY, text: "She is allergic to walnuts and hazelnuts.", version: 2 },
  history: { results: [{ event: "create", at: AT, memory: MEMORY }] },
  delete: { deleted: 1 },
  rerank: {
    id: REQUEST_ID,
    model: "memseal-rerank-mini",
    results: [{ index: 1, relevance_score: 0.179, document: { text: MEMORY.text } }],
    usage: { prompt_tokens: 32, completion_tokens: 0, total_tokens: 32 },
  },
  createToken: { token: "eyJhbGciOiJFZERTQSJ9.eyJleHAiOjE3OTU0MDI1MDZ9.c2lnbmF0dXJl", expires_at: "2026-11-22T23:13:26.000Z" },
  listAudit: { results: [{ n: 1, at: AT, actor: REFERENCE, action: "add", outcome: "ok", mac: REFERENCE }] },
  erase: ERASURE,
  getErasure: { ...ERASURE, backups_unreadable_at: "2027-01-01T00:00:00.000Z", root_keys: [{ ...ERASURE.root_keys[0], destroyed_at: "2027-01-01T00:00:00.000Z" }] },
  receiptKeys: { keys: [{ kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", kid: "5c7e0a3d9b1f2468", alg: "EdDSA", use: "sig" }] },
} as const;
