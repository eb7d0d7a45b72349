import { InvalidArgumentError } from "@memseal/errors";
import fc from "fast-check";
import type * as wire from "./generated/memseal/v1/memory.js";
import { AddRequest, SearchRequest } from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { parseAdd, parseDelete, parseGet, parseList, parseSearch } from "./to-domain.js";
import { toTimestamp } from "./timestamp.js";
import { encodeVector } from "./vector.js";

const memory = (parts: Partial<wire.NewMemory> = {}): wire.NewMemory => ({ text: "a", tags: [], metadata: undefined, occurredAt: undefined, ...parts });
const add = (parts: Partial<wire.NewMemory>) => () => parseAdd({ memories: [memory(), memory(parts)] });
const search = (parts: Partial<wire.SearchRequest>) => () => parseSearch({ query: "q", filters: undefined, explain: false, ...parts });

function faultOf(parse: () => unknown): string | undefined {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    return error.field;
  }
}

describe("parseAdd", () => {
  it("gives frozen memories with each tag once, in the caller's order", () => {
    const { memories, userId } = parseAdd({
      memories: [memory({ role: "Ada", tags: ["b", "a", "b"], metadata: { k: 1 }, occurredAt: toTimestamp(new Date(1_000)), vector: encodeVector(Float32Array.of(1, 2)) })],
      userId: "ada",
    });
    expect(memories).toEqual([{ text: "a", role: "Ada", tags: ["b", "a"], metadata: { k: 1 }, occurredAt: new Date(1_000), vector: Float32Array.of(1, 2) }]);
    expect(userId).toBe("ada");
    expect(Object.isFrozen(memories) && memories.every((one) => Object.isFrozen(one) && Object.isFrozen(one.tags))).toBe(true);
  });

  it("counts characters as code points", () => {
    expect(faultOf(add({ text: "😀".repeat(LIMITS.textCharacters) }))).toBeUndefined();
    expect(faultOf(add({ text: "😀".repeat(LIMITS.textCharacters) + "a" }))).toBe("memories[1].text");
    expect(faultOf(add({ role: "😀".repeat(LIMITS.labelCharacters) }))).toBeUndefined();
  });

  it.each<[string, Partial<wire.NewMemory>]>([
    ["text", { text: "" }],
    ["text", { text: "a\0" }],
    ["text", { text: "a\ud83d" }],
    ["text", { text: "a".repeat(LIMITS.textCharacters + 1) }],
    ["agent_id", { agentId: "" }],
    ["role", { role: "a".repeat(LIMITS.labelCharacters + 1) }],
    ["source", { source: "\udc00" }],
    ["tags", { tags: Array.from({ length: LIMITS.tags + 1 }, (_, i) => `t${i}`) }],
    ["tags[1]", { tags: ["a", ""] }],
    ["tags[0]", { tags: ["a".repeat(LIMITS.tagCharacters + 1)] }],
    ["metadata.a[0]", { metadata: { a: [NaN] } }],
    ["occurred_at", { occurredAt: { seconds: 253_402_300_800n, nanos: 0 } }],
    ["occurred_at", { occurredAt: { seconds: 0n, nanos: -1 } }],
    ["vector", { vector: Buffer.alloc(0) }],
    ["vector", { vector: Buffer.alloc(6, 1) }],
    ["vector", { vector: encodeVector(Float32Array.of(0, 0)) }],
    ["vector", { vector: encodeVector(Float32Array.of(1, NaN)) }],
    ["vector", { vector: encodeVector(Float32Array.of(1, -Infinity)) }],
  ])("refuses a fault in %s by its path", (field, parts) => {
    expect(faultOf(add(parts))).toBe(`memories[1].${field}`);
  });

  it("takes 1 to 200 memories", () => {
    const many = (count: number) => () => parseAdd({ memories: Array.from({ length: count }, () => memory()) });
    expect(faultOf(many(0))).toBe("memories");
    expect(faultOf(many(LIMITS.memoriesPerCall))).toBeUndefined();
    expect(faultOf(many(LIMITS.memoriesPerCall + 1))).toBe("memories");
  });

  it("never says what the text was", () => {
    expect(add({ text: "my secret\0" })).toThrow(/^(?!.*my secret)/);
  });
});

describe("parseSearch", () => {
  it("asks for the ten best, reranked and unexplained, unless told otherwise", () => {
    expect(search({})()).toEqual({ query: "q", topK: 10, rerank: true, explain: false });
    expect(search({ topK: 3, rerank: false, explain: true })()).toEqual({ query: "q", topK: 3, rerank: false, explain: true });
  });

  it.each<[string, Partial<wire.SearchRequest>]>([
    ["query", { query: "" }],
    ["query", { query: " \n\u3000" }],
    ["query", { query: "a".repeat(LIMITS.queryCharacters + 1) }],
    ["query", { query: "\ud800" }],
    ["top_k", { topK: 0 }],
    ["top_k", { topK: 101 }],
    ["top_k", { topK: 1.5 }],
    ["vector", { vector: Buffer.alloc(4) }],
    ["filters", { filters: { kind: undefined } }],
    ["user_id", { userId: "" }],
  ])("refuses a fault in %s by its path", (field, parts) => {
    expect(faultOf(search(parts))).toBe(field);
  });
});

describe("parseGet, parseDelete and parseList", () => {
  it("take a UUID in either case and refuse what is none", () => {
    const id = "01890A5D-AC96-774B-BCCE-B302099A8057";
    expect(parseGet({ id })).toEqual({ id: id.toLowerCase() });
    expect(parseDelete({ id })).toEqual({ id: id.toLowerCase() });
    for (const bad of ["", "1", `${id} `, id.replaceAll("-", ""), `{${id}}`, id.replace("A", "G")]) expect(faultOf(() => parseGet({ id: bad }))).toBe("id");
  });

  it("list 50 at a time unless told otherwise, 100 at most", () => {
    expect(parseList({})).toEqual({ limit: 50 });
    expect(parseList({ limit: 100, cursor: "c" })).toEqual({ limit: 100, cursor: "c" });
    expect(faultOf(() => parseList({ limit: 0 }))).toBe("limit");
    expect(faultOf(() => parseList({ limit: 101 }))).toBe("limit");
    expect(faultOf(() => parseList({ cursor: "" }))).toBe("cursor");
  });
});

describe("whatever has the shape of a message", () => {
  const anyText = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("\0", "\ud800", "", " ", "a"), fc.string({ minLength: 120, maxLength: 300 }));
  const option = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
  const anyVector = fc.oneof(fc.uint8Array({ maxLength: 16 }), fc.float32Array({ maxLength: 4 }).map(encodeVector)).map((bytes) => Buffer.from(bytes));
  const anyTime = fc.record({ seconds: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), nanos: fc.integer() });
  const anyMemory: fc.Arbitrary<wire.NewMemory> = fc.record({
    text: anyText,
    agentId: option(anyText),
    role: option(anyText),
    source: option(anyText),
    tags: fc.array(anyText, { maxLength: 40 }),
    metadata: option(fc.dictionary(anyText, fc.anything())),
    occurredAt: option(anyTime),
    vector: option(anyVector),
  });
  const outOfBounds = (text: string | undefined, max: number) =>
    text !== undefined && (text === "" || Array.from(text).length > max || text.includes("\0") || !text.isWellFormed());

  it("is refused with InvalidArgumentError or is within every limit", () => {
    fc.assert(fc.property(fc.record({ memories: fc.array(anyMemory, { maxLength: 3 }), userId: option(anyText) }), (message) => {
      if (faultOf(() => parseAdd(message)) !== undefined) return;
      const { memories, userId } = parseAdd(message);
      expect(memories.length).toBeGreaterThan(0);
      expect(outOfBounds(userId, LIMITS.userIdCharacters)).toBe(false);
      for (const { text, agentId, role, source, tags, metadata, occurredAt, vector } of memories) {
        expect(outOfBounds(text, LIMITS.textCharacters)).toBe(false);
        for (const label of [agentId, role, source]) expect(outOfBounds(label, LIMITS.labelCharacters)).toBe(false);
        expect(tags.length).toBeLessThanOrEqual(LIMITS.tags);
        expect(new Set(tags).size).toBe(tags.length);
        for (const tag of tags) expect(outOfBounds(tag, LIMITS.tagCharacters)).toBe(false);
        expect(Buffer.byteLength(JSON.stringify(metadata ?? {}))).toBeLessThanOrEqual(LIMITS.metadataBytes);
        expect(occurredAt?.getTime()).not.toBeNaN();
        if (vector) expect(vector.every(Number.isFinite) && vector.some((value) => value !== 0)).toBe(true);
      }
    }), { numRuns: 500 });
  });

  it("as bytes from anyone, decodes to something these parsers answer", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const [codec, parse] of [[AddRequest, parseAdd], [SearchRequest, parseSearch]] as const) {
        let message;
        try {
          message = codec.decode(bytes);
        } catch {
          continue;
        }
        faultOf(() => parse(message as never));
      }
    }), { numRuns: 500 });
  });
});

describe("a message on the wire", () => {
  it("brings metadata as it went", () => {
    const metadata = { a: [1, null, { b: true, c: "x" }], d: -0.5, e: {} };
    const { memories } = parseAdd(AddRequest.decode(AddRequest.encode({ memories: [memory({ metadata })] }).finish()));
    expect(memories[0]?.metadata).toEqual(metadata);
  });
});
