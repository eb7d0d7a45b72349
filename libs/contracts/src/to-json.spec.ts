import type { Memory } from "./generated/memseal/v1/memory.js";
import { addResponseToJson, listResponseToJson, memoryToJson, searchAnswerToJson } from "./to-json.js";

const at = { seconds: 1_683_554_160n, nanos: 0 };
const bare: Memory = { id: "i", text: "t", tags: [], metadata: undefined, occurredAt: at, createdAt: at, updatedAt: at, version: 1 };
const TIME = "2023-05-08T13:56:00.000Z";
/** As it leaves the server. */
const sent = (value: object): unknown => JSON.parse(JSON.stringify(value));

describe("answers as JSON", () => {
  it("name a memory's fields as the .proto file does and leave out what is absent", () => {
    expect(sent(memoryToJson(bare))).toEqual({
      id: "i", text: "t", tags: [], metadata: {}, occurred_at: TIME, created_at: TIME, updated_at: TIME, version: 1,
    });
    expect(sent(memoryToJson({ ...bare, agentId: "a", role: "r", source: "s", tags: ["x"], metadata: { k: [1] } }))).toMatchObject({
      agent_id: "a", role: "r", source: "s", tags: ["x"], metadata: { k: [1] },
    });
  });

  it("end a list without a cursor on the last page", () => {
    expect(sent(listResponseToJson({ results: [] }))).toEqual({ results: [] });
    expect(sent(listResponseToJson({ results: [], nextCursor: "c" }))).toEqual({ results: [], next_cursor: "c" });
    expect(sent(addResponseToJson({ results: [{ id: "i", createdAt: at, version: 1, event: "create" }] }))).toEqual({ results: [{ id: "i", created_at: TIME, version: 1, event: "create" }] });
  });

  it("say of a search what happened", () => {
    expect(sent(searchAnswerToJson({
      results: [{
        memory: bare, score: 1.5, passage: { index: 0, start: 0, end: 1, text: "t" }, rank: 1, originalRank: 2,
        scores: { similarity: 0.5, similarityRank: 1, bm25: 2, bm25Rank: 1, fused: 1, rerank: 1 },
      }],
      reranked: false, rerankSkipped: "timeout", dense: true, totalMatching: 1, integrityFailures: 0, unknownFields: ["metadata.x"],
      latencyMs: { embed: 1, search: 2, rerank: 3, total: 6 }, requestId: "r",
    }))).toEqual({
      results: [{
        memory: sent(memoryToJson(bare)), score: 1.5, passage: { index: 0, start: 0, end: 1, text: "t" }, rank: 1, original_rank: 2,
        scores: { similarity: 0.5, similarity_rank: 1, bm25: 2, bm25_rank: 1, fused: 1, rerank: 1 },
      }],
      reranked: false, rerank_skipped: "timeout", dense: true, total_matching: 1, integrity_failures: 0, unknown_fields: ["metadata.x"],
      latency_ms: { embed: 1, search: 2, rerank: 3, total: 6 }, request_id: "r",
    });
  });
});
