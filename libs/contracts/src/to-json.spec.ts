import fc from "fast-check";
import { addFromJson } from "./from-json.js";
import { Memory, NewMemory, SearchEvent, type SearchAnswer } from "./generated/memseal/v1/memory.js";
import {
  addResponseToJson,
  createTokenResponseToJson,
  erasureReceiptToJson,
  historyResponseToJson,
  listAuditResponseToJson,
  listResponseToJson,
  memoryToJson,
  rerankResponseToJson,
  searchAnswerToJson,
  searchEventToJson,
} from "./to-json.js";
import { toTimestamp } from "./timestamp.js";

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
    const full: Memory = { ...bare, key: "k", agentId: "a", runId: "u", position: 0, role: "r", source: "s", tags: ["x"], metadata: { k: [1] }, expiresAt: at };
    expect(sent(memoryToJson(full))).toMatchObject({
      key: "k", agent_id: "a", run_id: "u", position: 0, role: "r", source: "s", tags: ["x"], metadata: { k: [1] }, expires_at: TIME,
    });
  });

  it("end a list without a cursor on the last page", () => {
    expect(sent(listResponseToJson({ results: [] }))).toEqual({ results: [] });
    expect(sent(listResponseToJson({ results: [], nextCursor: "c" }))).toEqual({ results: [], next_cursor: "c" });
    expect(sent(addResponseToJson({ results: [{ id: "i", createdAt: at, version: 1, event: "create", position: 0 }] }))).toEqual({ results: [{ id: "i", created_at: TIME, version: 1, event: "create", position: 0 }] });
  });

  it("say of a search what happened", () => {
    expect(sent(searchAnswerToJson({
      results: [{
        memory: bare, score: 1.5, passage: { index: 0, start: 0, end: 1, text: "t" }, rank: 1, originalRank: 2,
        scores: { similarity: 0.5, similarityRank: 1, bm25: 2, bm25Rank: 1, fused: 1, rerank: 1 },
      }],
      reranked: false, rerankSkipped: "timeout", rerankDepth: 0, dense: true, totalMatching: 1, integrityFailures: 0, unknownFields: ["metadata.x"],
      latencyMs: { embed: 1, search: 2, rerank: 3, total: 6 }, requestId: "r",
    }))).toEqual({
      results: [{
        memory: sent(memoryToJson(bare)), score: 1.5, passage: { index: 0, start: 0, end: 1, text: "t" }, rank: 1, original_rank: 2,
        scores: { similarity: 0.5, similarity_rank: 1, bm25: 2, bm25_rank: 1, fused: 1, rerank: 1 },
      }],
      reranked: false, rerank_skipped: "timeout", rerank_depth: 0, dense: true, total_matching: 1, integrity_failures: 0, unknown_fields: ["metadata.x"],
      latency_ms: { embed: 1, search: 2, rerank: 3, total: 6 }, request_id: "r",
    });
  });

  it("give a stream's events their names, in the order they come", () => {
    const answer: SearchAnswer = { results: [], reranked: false, rerankDepth: 0, dense: true, totalMatching: 0, integrityFailures: 0, unknownFields: [], latencyMs: undefined, requestId: "r" };
    const added = { memory: bare, score: 2, passage: undefined, rank: 1, scores: undefined };
    const events: [SearchEvent, object][] = [
      [{ event: { $case: "results", value: answer } }, { event: "results", data: sent(searchAnswerToJson(answer)) }],
      [
        { event: { $case: "reranked", value: { order: [{ id: "i", score: 2 }], added: [added], removed: ["j"], rerankDepth: 12 } } },
        { event: "reranked", data: { order: [{ id: "i", score: 2 }], added: [{ memory: sent(memoryToJson(bare)), score: 2, rank: 1 }], removed: ["j"], rerank_depth: 12 } },
      ],
      [{ event: { $case: "rerankSkipped", value: "timeout" } }, { event: "rerank_skipped", data: { reason: "timeout" } }],
      [
        { event: { $case: "done", value: { latencyMs: { embed: 1, search: 2, rerank: 3, total: 6 } } } },
        { event: "done", data: { latency_ms: { embed: 1, search: 2, rerank: 3, total: 6 } } },
      ],
    ];
    for (const [event, json] of events) expect(sent(searchEventToJson(SearchEvent.decode(SearchEvent.encode(event).finish())))).toEqual(json);
    expect(() => searchEventToJson({ event: undefined })).toThrow(TypeError);
  });

  it("show references, macs and numbers of events as text can hold them", () => {
    const event = { n: 7n, at, actor: Buffer.alloc(32, 0xab), action: "add", outcome: "ok", mac: Buffer.alloc(32, 1) };
    expect(sent(listAuditResponseToJson({ results: [event, { ...event, target: Buffer.alloc(32) }], nextCursor: "c" }))).toEqual({
      results: [
        { n: 7, at: TIME, actor: "ab".repeat(32), action: "add", outcome: "ok", mac: "01".repeat(32) },
        { n: 7, at: TIME, actor: "ab".repeat(32), action: "add", target: "00".repeat(32), outcome: "ok", mac: "01".repeat(32) },
      ],
      next_cursor: "c",
    });
  });

  it("of the other calls have the fields of their messages", () => {
    expect(sent(historyResponseToJson({ results: [{ event: "update", at, memory: bare }] }))).toEqual({ results: [{ event: "update", at: TIME, memory: sent(memoryToJson(bare)) }] });
    const usage = { promptTokens: 9, completionTokens: 0, totalTokens: 9 };
    expect(sent(rerankResponseToJson({ results: [{ index: 1, relevanceScore: -0.5, document: { text: "a" } }, { index: 0, relevanceScore: -1 }], model: "m", id: "r", usage }))).toEqual({
      id: "r", model: "m", results: [{ index: 1, relevance_score: -0.5, document: { text: "a" } }, { index: 0, relevance_score: -1 }],
      usage: { prompt_tokens: 9, completion_tokens: 0, total_tokens: 9 },
    });
    expect(sent(createTokenResponseToJson({ token: "t", expiresAt: at }))).toEqual({ token: "t", expires_at: TIME });
    const receipt = { id: "i", erasedAt: at, rootKeyId: "k", memories: 2, bytes: 9n, rootKeys: [{ id: "k", version: 1 }], signed: "a.b.c" };
    expect(sent(erasureReceiptToJson(receipt))).toEqual({ id: "i", erased_at: TIME, memories: 2, bytes: 9, root_key_id: "k", root_keys: [{ id: "k", version: 1 }], signed: "a.b.c" });
    const known = { ...receipt, backupsUnreadableAt: at, rootKeys: [{ id: "k", destroyedAt: at }] };
    expect(sent(erasureReceiptToJson(known))).toMatchObject({ backups_unreadable_at: TIME, root_keys: [{ id: "k", destroyed_at: TIME }] });
  });
});

describe("a memory", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
  const option = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
  const time = fc.date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true }).map(toTimestamp);
  const json = fc
    .dictionary(text, fc.jsonValue({ maxDepth: 3 }), { noNullPrototype: true })
    .map((value) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>)
    // Refused as a name, wherever it stands.
    .filter((value) => !JSON.stringify(value).includes("__proto__"));
  const contents: fc.Arbitrary<NewMemory> = fc.record({
    text, key: option(text), agentId: option(text), runId: option(text), role: option(text), source: option(text), tags: fc.array(text, { maxLength: 3 }), metadata: json, occurredAt: time, expiresAt: option(time),
  });

  it("that was read as JSON can be added again as it is, but for what the service gives it", () => {
    fc.assert(fc.property(contents, (content) => {
      const stored: Memory = { ...bare, ...content, position: 3 };
      const { id, version, position, created_at, updated_at, ...read } = sent(memoryToJson(stored)) as Record<string, unknown>;
      expect([id, version, position, created_at, updated_at]).toEqual([bare.id, 1, 3, TIME, TIME]);
      expect(addFromJson({ memories: [read] }).memories).toEqual([content]);
    }));
  });

  it("comes over the wire as it went", () => {
    fc.assert(fc.property(contents, (content) => {
      expect(NewMemory.decode(NewMemory.encode(content).finish())).toEqual(content);
      const stored: Memory = { ...bare, ...content, position: 0 };
      expect(Memory.decode(Memory.encode(stored).finish())).toEqual(stored);
    }));
  });
});
