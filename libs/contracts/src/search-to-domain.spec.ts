import type * as wire from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { parseRerank, parseSearch } from "./search-to-domain.js";
import { faultOf } from "./testing.js";
import { toTimestamp } from "./timestamp.js";
import { encodeVector } from "./vector.js";

const search = (parts: Partial<wire.SearchRequest>) => () => parseSearch({ query: "q", filters: undefined, explain: false, ...parts });
const rerank = (parts: Partial<wire.RerankRequest>) => () => parseRerank({ query: "q", documents: ["a", "b"], returnDocuments: false, rawScores: false, ...parts });

describe("parseSearch", () => {
  it("asks for the ten best, reranked and unexplained, unless told otherwise", () => {
    expect(search({})()).toEqual({ query: "q", topK: 10, rerank: true, explain: false });
    expect(search({ topK: 3, rerank: false, explain: true, threshold: -1, decay: { halfLifeDays: 30 }, asOf: toTimestamp(new Date(7)), mode: "dense", context: false })()).toEqual({
      query: "q", topK: 3, rerank: false, explain: true, threshold: -1, halfLifeDays: 30, asOf: new Date(7), mode: "dense", context: false,
    });
  });

  it.each<[string, Partial<wire.SearchRequest>]>([
    ["query", { query: "" }],
    ["query", { query: " \n\u3000" }],
    ["query", { query: "a".repeat(LIMITS.queryCharacters + 1) }],
    ["query", { query: "\ud800" }],
    ["top_k", { topK: 0 }],
    ["top_k", { topK: LIMITS.topK + 1 }],
    ["top_k", { topK: 1.5 }],
    ["vector", { vector: Buffer.alloc(4) }],
    ["filters", { filters: { kind: undefined } }],
    ["threshold", { threshold: NaN }],
    ["threshold", { threshold: 1.01 }],
    ["threshold", { threshold: -Infinity }],
    ["decay.half_life_days", { decay: { halfLifeDays: 0 } }],
    ["decay.half_life_days", { decay: { halfLifeDays: NaN } }],
    ["decay.half_life_days", { decay: { halfLifeDays: LIMITS.halfLifeDays + 1 } }],
    ["mode", { mode: "" }],
    ["mode", { mode: "Lexical" }],
    ["vector", { mode: "lexical", vector: encodeVector(Float32Array.of(1)) }],
    ["threshold", { mode: "lexical", threshold: 0.5 }],
    ["as_of", { asOf: { seconds: -(2n ** 60n), nanos: 0 } }],
    ["user_id", { userId: "" }],
  ])("refuses a fault in %s by its path", (field, parts) => {
    expect(faultOf(search(parts))).toBe(field);
  });
});

describe("parseRerank", () => {
  it("returns every document unless told otherwise", () => {
    expect(rerank({})()).toEqual({ query: "q", documents: ["a", "b"], topN: 2, returnDocuments: false, rawScores: false });
    expect(rerank({ topN: 1, model: "m" })()).toMatchObject({ topN: 1, model: "m" });
    expect(rerank({ topN: 7 })()).toMatchObject({ topN: 2 });
    expect(rerank({ documents: Array<string>(LIMITS.rerankDocuments).fill("a") })()).toMatchObject({ topN: LIMITS.rerankDocuments });
  });

  it.each<[string, Partial<wire.RerankRequest>]>([
    ["query", { query: " " }],
    ["documents", { documents: [] }],
    ["documents", { documents: Array<string>(LIMITS.rerankDocuments + 1).fill("a") }],
    ["documents[1]", { documents: ["a", ""] }],
    ["documents[0]", { documents: ["a".repeat(LIMITS.textCharacters + 1)] }],
    ["top_n", { topN: 0 }],
    ["top_n", { topN: LIMITS.rerankDocuments + 1 }],
    ["model", { model: "" }],
  ])("refuses a fault in %s by its path", (field, parts) => {
    expect(faultOf(rerank(parts))).toBe(field);
  });
});
