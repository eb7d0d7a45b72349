import { InvalidArgumentError } from "@memseal/errors";
import fc from "fast-check";
import { addFromJson, listFromQuery, searchFromJson } from "./from-json.js";
import { LIMITS } from "./limits.js";
import { parseAdd, parseList, parseSearch } from "./to-domain.js";
import { encodeVector } from "./vector.js";

function faultOf(parse: () => unknown): string | undefined {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    return error.field;
  }
}

describe("a body of POST /v1/memories", () => {
  it("becomes the message with the same fields", () => {
    expect(addFromJson({
      memories: [{
        text: "a", agent_id: "b", role: "c", source: "d", tags: ["e"], metadata: { f: 1 }, occurred_at: "1970-01-01T00:00:01.5Z", vector: [1, 0.5],
      }],
      user_id: "g",
    })).toEqual({
      memories: [{
        text: "a", agentId: "b", role: "c", source: "d", tags: ["e"], metadata: { f: 1 },
        occurredAt: { seconds: 1n, nanos: 500_000_000 }, vector: encodeVector(Float32Array.of(1, 0.5)),
      }],
      userId: "g",
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
    ["user_id", { memories: [{ text: "a" }], user_id: 7 }],
  ])("is refused at %s, without coercion", (field, body) => {
    expect(faultOf(() => parseAdd(addFromJson(body)))).toBe(field);
  });

  it("with a fault in each of a million elements is refused for the first", () => {
    expect(faultOf(() => addFromJson({ memories: [{ text: "a", tags: Array(1e6).fill(1) }] }))).toBe("memories[0].tags");
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
  });

  it.each<[string, unknown]>([
    ["query", {}],
    ["query", { query: 1 }],
    ["top_k", { query: "q", top_k: "3" }],
    ["top_k", { query: "q", top_k: 2.5 }],
    ["topK", { query: "q", topK: 3 }],
    ["rerank", { query: "q", rerank: "false" }],
    ["explain", { query: "q", explain: 1 }],
    ["filters", { query: "q", filters: "source" }],
    ["filters.source.ne", { query: "q", filters: { source: { ne: "a" } } }],
  ])("is refused at %s, without coercion", (field, body) => {
    expect(faultOf(() => parseSearch(searchFromJson(body)))).toBe(field);
  });
});

describe("a query of GET /v1/memories", () => {
  it("becomes the message with the same fields", () => {
    expect(listFromQuery({ limit: "7", cursor: "c" })).toEqual({ limit: 7, cursor: "c" });
    expect(listFromQuery({})).toEqual({});
  });

  it.each<[string, unknown]>([
    ["limit", { limit: "" }],
    ["limit", { limit: "1e1" }],
    ["limit", { limit: "-1" }],
    ["limit", { limit: ["1", "2"] }],
    ["limit", { limit: "0" }],
    ["page", { page: "2" }],
  ])("is refused at %s", (field, query) => {
    expect(faultOf(() => parseList(listFromQuery(query)))).toBe(field);
  });
});

describe("arbitrary JSON", () => {
  const fields = ["memories", "text", "tags", "metadata", "vector", "occurred_at", "query", "top_k", "filters", "AND", "NOT", "source", "limit", "__proto__"];
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
      faultOf(() => parseSearch(searchFromJson(value)));
      faultOf(() => parseList(listFromQuery(value)));
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    }), { numRuns: 1_000 });
  });
});
