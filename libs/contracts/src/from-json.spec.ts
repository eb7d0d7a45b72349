import fc from "fast-check";
import { parseCreateToken, parseErase, parseListAudit } from "./admin-to-domain.js";
import {
  addFromJson,
  createTokenFromJson,
  deleteFromPath,
  deleteManyFromJson,
  eraseFromJson,
  listAuditFromQuery,
listFromJson,
  listFromQuery,
  rerankFromJson,
  searchFromJson,
  updateFromJson,
} from "./from-json.js";
import { LIMITS } from "./limits.js";
import { parseAdd } from "./memory-to-domain.js";
import { parseRerank, parseSearch } from "./search-to-domain.js";
import { parseDelete, parseDeleteMany, parseList } from "./selection-to-domain.js";
import { faultOf } from "./testing.js";
import { parseUpdate } from "./update-to-domain.js";
import { encodeVector } from "./vector.js";

const ID = "01890a5d-ac96-774b-bcce-b302099a8057";
const update = (body: unknown, ifMatch?: string) => updateFromJson(body, { id: ID, ifMatch });

describe("a body of POST /v1/memories", () => {
  it("becomes the message with the same fields", () => {
    expect(addFromJson({
      memories: [{
        text: "a", key: "h", agent_id: "b", run_id: "i", role: "c", source: "d", tags: ["e"], metadata: { f: 1 }, occurred_at: "1970-01-01T00:00:01.5Z",
        expires_at: "1970-01-01T00:00:02Z", vector: [1, 0.5],
      }],
      user_id: "g",
    })).toEqual({
      memories: [{
        text: "a", key: "h", agentId: "b", runId: "i", role: "c", source: "d", tags: ["e"], metadata: { f: 1 },
        occurredAt: { seconds: 1n, nanos: 500_000_000 }, expiresAt: { seconds: 2n, nanos: 0 }, vector: encodeVector(Float32Array.of(1, 0.5)),
      }],
      messages: [],
      userId: "g",
    });
    expect(addFromJson({
      messages: [{ role: "user", content: "Hello" }, { role: "assistant", content: "Hi", occurred_at: "1970-01-01T00:00:00Z", metadata: { a: 1 }, vector: [1] }],
      run_id: "r",
      agent_id: "p",
    })).toEqual({
      memories: [],
      messages: [
        { role: "user", content: "Hello" },
        { role: "assistant", content: "Hi", occurredAt: { seconds: 0n, nanos: 0 }, metadata: { a: 1 }, vector: encodeVector(Float32Array.of(1)) },
      ],
      runId: "r",
      agentId: "p",
    });
  });

  it.each<[string, unknown]>([
    ["body", null],
    ["body", []],
    ["body", "text"],
    ["memories", {}],
    ["memories", { memories: { 0: { text: "a" } } }],
    ["memories", { memories: Array(LIMITS.memoriesPerCall + 1).fill({ text: "a" }) }],
    ["colour", { memories: [], colour: "red" }],
    ["memories[0]", { memories: ["a"] }],
    ["memories[1].text", { memories: [{ text: "a" }, {}] }],
    ["memories[0].text", { memories: [{ text: 1 }] }],
    ["memories[0].colour", { memories: [{ text: "a", colour: "red" }] }],
    ["memories[0].agentId", { memories: [{ text: "a", agentId: "b" }] }],
    ["memories[0].*", { memories: [{ text: "a", "a sentence that got here": 1 }] }],
    ["memories[0].__proto__", JSON.parse('{"memories":[{"text":"a","__proto__":{"admin":true}}]}')],
    ["memories[0].role", { memories: [{ text: "a", role: null }] }],
    ["memories[0].tags", { memories: [{ text: "a", tags: "b" }] }],
    ["memories[0].tags", { memories: [{ text: "a", tags: ["b", 1] }] }],
    ["memories[0].metadata", { memories: [{ text: "a", metadata: [] }] }],
    ["memories[0].occurred_at", { memories: [{ text: "a", occurred_at: "8 May 2023" }] }],
    ["memories[0].occurred_at", { memories: [{ text: "a", occurred_at: 1683554160 }] }],
    ["memories[0].vector", { memories: [{ text: "a", vector: ["1"] }] }],
    ["memories[0].vector", { memories: [{ text: "a", vector: "AACAPw==" }] }],
    ["memories[0].vector", { memories: [{ text: "a", vector: [1e300] }] }],
    ["memories[0].vector", { memories: [{ text: "a", vector: [] }] }],
    ["memories[0].expires_at", { memories: [{ text: "a", expires_at: null }] }],
    ["memories[0].key", { memories: [{ text: "a", key: 7 }] }],
    ["messages", { messages: Array(LIMITS.memoriesPerCall + 1).fill({ role: "a", content: "a" }), run_id: "r" }],
    ["messages[0].content", { messages: [{ role: "a" }], run_id: "r" }],
    ["messages[0].role", { messages: [{ content: "a" }], run_id: "r" }],
    ["messages[0].text", { messages: [{ role: "a", content: "a", text: "b" }], run_id: "r" }],
    ["run_id", { messages: [{ role: "a", content: "a" }] }],
    ["run_id", { messages: [{ role: "a", content: "a" }], run_id: 7 }],
    ["user_id", { memories: [{ text: "a" }], user_id: 7 }],
  ])("is refused at %s, without coercion", (field, body) => {
    expect(faultOf(() => parseAdd(addFromJson(body)))).toBe(field);
  });

  it("with a fault in each of a million elements is refused for the first", () => {
    expect(faultOf(() => addFromJson({ memories: [{ text: "a", tags: Array(1e6).fill(1) }] }))).toBe("memories[0].tags");
  });
});

describe("a body of PATCH /v1/memories/{id}", () => {
  it("becomes the message with the same fields, what is null as a name to clear", () => {
    expect(update({
      text: "a", agent_id: null, role: "r", source: null, tags: null, metadata: { a: 1 }, occurred_at: "1970-01-01T00:00:00Z", expires_at: null, vector: [1], user_id: "u",
    }, '"3"')).toEqual({
      id: ID, ifMatch: 3, text: "a", role: "r", metadata: { a: 1 }, occurredAt: { seconds: 0n, nanos: 0 }, vector: encodeVector(Float32Array.of(1)),
      clear: ["agent_id", "source", "tags", "expires_at"], userId: "u",
    });
    expect(update({ tags: [], metadata: {} }, "12")).toEqual({ id: ID, ifMatch: 12, tags: { tags: [] }, metadata: {}, clear: [] });
  });

  it.each<[string, unknown]>([
    ["request", {}],
    ["text", { text: null }],
    ["key", { key: "k" }],
    ["run_id", { run_id: "r" }],
    ["id", { id: ID, text: "a" }],
    ["version", { version: 3 }],
    ["clear", { clear: ["role"] }],
    ["tags", { tags: "a" }],
    ["occurred_at", { occurred_at: 7 }],
    ["vector", { vector: null, text: "a" }],
  ])("is refused at %s: %j", (field, body) => {
    expect(faultOf(() => parseUpdate(update(body)))).toBe(field);
  });

  it("is refused with an If-Match that is not one version", () => {
    for (const ifMatch of ["", "*", 'W/"3"', '"3', '3"', '"3", "4"', "0", "-1", "3.5", "99999999999", "3\n"]) {
      expect({ ifMatch, field: faultOf(() => parseUpdate(update({ text: "a" }, ifMatch))) }).toEqual({ ifMatch, field: "if_match" });
      expect({ ifMatch, field: faultOf(() => parseDelete(deleteFromPath({ id: ID, ifMatch }))) }).toEqual({ ifMatch, field: "if_match" });
    }
  });
});

describe("a body of POST /v1/memories/delete", () => {
  it("becomes the message with the same fields", () => {
    expect(deleteManyFromJson({ ids: [ID], user_id: "u" })).toEqual({ ids: [ID], all: false, dryRun: false, userId: "u" });
    expect(deleteManyFromJson({ key: "k", filters: { source: "a" }, all: true, dry_run: true })).toEqual({
      ids: [], key: "k", filters: { kind: { $case: "condition", value: { field: "source", op: "eq", value: "a" } } }, all: true, dryRun: true,
    });
  });

  it.each<[string, unknown]>([
    ["request", {}],
    ["request", { all: false }],
    ["request", { filters: {} }],
    ["request", { ids: [] }],
    ["request", { dry_run: true }],
    ["body", null],
    ["all", { all: "true" }],
    ["all", { all: 1 }],
    ["ids", { ids: ID }],
    ["filters.colour", { filters: { colour: "red" } }],
    ["memory_ids", { memory_ids: [ID] }],
  ])("is refused at %s: %j, which must never mean everything", (field, body) => {
    expect(faultOf(() => parseDeleteMany(deleteManyFromJson(body)))).toBe(field);
  });
});

describe("bodies of POST /v1/rerank, /v1/tokens and /v1/erasures", () => {
  it("become the messages with the same fields", () => {
    expect(rerankFromJson({ query: "q", documents: ["a", { text: "b" }], top_n: 1, model: "m", return_documents: true, raw_scores: true })).toEqual({
      query: "q", documents: ["a", "b"], topN: 1, model: "m", returnDocuments: true, rawScores: true,
    });
    expect(rerankFromJson({ query: "q", documents: ["a"] })).toEqual({ query: "q", documents: ["a"], returnDocuments: false, rawScores: false });
    expect(createTokenFromJson({ user_id: "u", scopes: ["read"], ttl_s: 60 })).toEqual({ userId: "u", scopes: ["read"], ttlS: 60 });
    expect(eraseFromJson({ user_id: "u" })).toEqual({ userId: "u" });
    for (const none of [{}, undefined]) expect(eraseFromJson(none)).toEqual({});
  });

  it.each<[string, () => unknown]>([
    ["documents", () => parseRerank(rerankFromJson({ query: "q" }))],
    ["documents", () => parseRerank(rerankFromJson({ query: "q", documents: ["a", 1] }))],
    ["documents", () => parseRerank(rerankFromJson({ query: "q", documents: [{ text: "a", title: "b" }] }))],
    ["documents", () => parseRerank(rerankFromJson({ query: "q", documents: [{ text: 1 }] }))],
    ["documents", () => parseRerank(rerankFromJson({ query: "q", documents: [] }))],
    ["documents", () => parseRerank(rerankFromJson({ query: "q", documents: Array(LIMITS.rerankDocuments + 1).fill("a") }))],
    ["documents[1]", () => parseRerank(rerankFromJson({ query: "q", documents: ["a", ""] }))],
    ["top_n", () => parseRerank(rerankFromJson({ query: "q", documents: ["a"], top_n: 0 }))],
    ["top_k", () => parseRerank(rerankFromJson({ query: "q", documents: ["a"], top_k: 1 }))],
    ["model", () => parseRerank(rerankFromJson({ query: "q", documents: ["a"], model: "" }))],
    ["return_documents", () => parseRerank(rerankFromJson({ query: "q", documents: ["a"], return_documents: "yes" }))],
    ["max_tokens_per_doc", () => parseRerank(rerankFromJson({ query: "q", documents: ["a"], max_tokens_per_doc: 1 }))],
    ["ttl_s", () => parseCreateToken(createTokenFromJson({ user_id: "u", scopes: ["read"] }))],
    ["ttl_s", () => parseCreateToken(createTokenFromJson({ user_id: "u", scopes: ["read"], ttl_s: "60" }))],
    ["user_id", () => parseCreateToken(createTokenFromJson({ scopes: ["read"], ttl_s: 60 }))],
    ["tenant", () => parseErase(eraseFromJson({ tenant: "u" }))],
    ["body", () => parseErase(eraseFromJson(null))],
  ])("are refused at %s, without coercion", (field, parse) => {
    expect(faultOf(parse)).toBe(field);
  });
});

describe("a body of POST /v1/memories/search", () => {
  it("becomes the message with the same fields", () => {
    expect(searchFromJson({ query: "q", top_k: 3, filters: { source: "chat" }, vector: [1], rerank: false, explain: true, user_id: "u" })).toEqual({
      query: "q",
      topK: 3,
      filters: { kind: { $case: "condition", value: { field: "source", op: "eq", value: "chat" } } },
      vector: encodeVector(Float32Array.of(1)),
      rerank: false,
      explain: true,
      userId: "u",
    });
    expect(searchFromJson({ query: "q" })).toEqual({ query: "q", explain: false });
    expect(searchFromJson({ query: "q", threshold: 0.5, decay: { half_life_days: 30 }, as_of: "1970-01-01T00:00:00Z", mode: "dense", context: false })).toEqual({
      query: "q", explain: false, threshold: 0.5, decay: { halfLifeDays: 30 }, asOf: { seconds: 0n, nanos: 0 }, mode: "dense", context: false,
    });
  });

  it.each<[string, unknown]>([
    ["mode", { query: "q", mode: ["dense"] }],
    ["context", { query: "q", context: "no" }],
    ["query", {}],
    ["query", { query: 1 }],
    ["top_k", { query: "q", top_k: "3" }],
    ["top_k", { query: "q", top_k: 2.5 }],
    ["topK", { query: "q", topK: 3 }],
    ["rerank", { query: "q", rerank: "false" }],
    ["explain", { query: "q", explain: 1 }],
    ["filters", { query: "q", filters: "source" }],
    ["filters.source.regex", { query: "q", filters: { source: { regex: "a" } } }],
    ["threshold", { query: "q", threshold: "0.5" }],
    ["decay", { query: "q", decay: 30 }],
    ["decay.half_life_days", { query: "q", decay: {} }],
    ["decay.half_life", { query: "q", decay: { half_life_days: 1, half_life: 1 } }],
    ["as_of", { query: "q", as_of: "yesterday" }],
  ])("is refused at %s, without coercion", (field, body) => {
    expect(faultOf(() => parseSearch(searchFromJson(body)))).toBe(field);
  });
});

describe("a query of GET /v1/memories", () => {
  it("becomes the message with the same fields", () => {
    expect(listFromQuery({ limit: "7", cursor: "c" })).toEqual({ limit: 7, cursor: "c" });
    expect(listFromQuery({})).toEqual({});
    expect(listFromQuery({ filters: '{"source":"a"}', user_id: "u" })).toEqual({
      filters: { kind: { $case: "condition", value: { field: "source", op: "eq", value: "a" } } }, userId: "u",
    });
    expect(listAuditFromQuery({ limit: "7", cursor: "c" })).toEqual({ limit: 7, cursor: "c" });
    expect(faultOf(() => listAuditFromQuery({ filters: "{}" }))).toBe("filters");
  });

  it("says what the body of POST /v1/memories/list says", () => {
    const filters = { source: "a", NOT: { tags: { contains: "b" } } };
    expect(listFromJson({ limit: 7, cursor: "c", filters, user_id: "u" })).toEqual(listFromQuery({ limit: "7", cursor: "c", filters: JSON.stringify(filters), user_id: "u" }));
    expect(listFromJson({})).toEqual(listFromQuery({}));
    for (const [field, body] of [["limit", { limit: "7" }], ["limit", { limit: 1.5 }], ["filters", { filters: "{}" }], ["page", { page: 2 }]] as const) {
      expect(faultOf(() => parseList(listFromJson(body)))).toBe(field);
    }
  });

  it.each<[string, unknown]>([
    ["limit", { limit: "" }],
    ["limit", { limit: "1e1" }],
    ["limit", { limit: "-1" }],
    ["limit", { limit: ["1", "2"] }],
    ["limit", { limit: "0" }],
    ["page", { page: "2" }],
    ["filters", { filters: "source" }],
    ["filters", { filters: '["source"]' }],
    ["filters", { filters: ["{}", "{}"] }],
    ["filters.colour", { filters: '{"colour":"red"}' }],
    ["filters.__proto__", { filters: '{"__proto__":{"eq":1}}' }],
  ])("is refused at %s", (field, query) => {
    expect(faultOf(() => parseList(listFromQuery(query)))).toBe(field);
  });
});

describe("arbitrary JSON", () => {
  const fields = ["memories", "text", "tags", "metadata", "vector", "occurred_at", "query", "top_k", "filters", "AND", "NOT", "source", "limit", "__proto__",
    "messages", "content", "run_id", "expires_at", "ids", "all", "documents", "scopes", "ttl_s", "decay", "half_life_days", "as_of"];
  const json = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 6 },
      fc.jsonValue({ maxDepth: 1 }),
      fc.array(tie("value"), { maxLength: 3 }),
      // As JSON.parse makes it: __proto__ is a property of its own.
      fc.array(fc.tuple(fc.constantFrom(...fields), tie("value")), { maxLength: 4 }).map((entries): unknown => Object.fromEntries(entries)),
    ),
  })).value;

  it("never gives anything but a parsed request or InvalidArgumentError", () => {
    fc.assert(fc.property(json, (value) => {
      faultOf(() => parseAdd(addFromJson(value)));
      faultOf(() => parseAdd(addFromJson({ memories: [value] })));
      faultOf(() => parseAdd(addFromJson({ messages: [value], run_id: "r" })));
      faultOf(() => parseUpdate(update(value, typeof value === "string" ? value : undefined)));
      faultOf(() => parseSearch(searchFromJson(value)));
      faultOf(() => parseRerank(rerankFromJson(value)));
      faultOf(() => parseDeleteMany(deleteManyFromJson(value)));
      faultOf(() => parseCreateToken(createTokenFromJson(value)));
      faultOf(() => parseErase(eraseFromJson(value)));
      faultOf(() => parseList(listFromQuery(value)));
      faultOf(() => parseList(listFromJson(value)));
      faultOf(() => parseList(listFromQuery({ filters: JSON.stringify(value) })));
      faultOf(() => parseListAudit(listAuditFromQuery(value)));
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    }), { numRuns: 1_000 });
  });
});
