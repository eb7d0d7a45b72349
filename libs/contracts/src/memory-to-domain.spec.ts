import type * as wire from "./generated/memseal/v1/memory.js";
import { AddRequest } from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { parseAdd } from "./memory-to-domain.js";
import { faultOf } from "./testing.js";
import { toTimestamp } from "./timestamp.js";
import { encodeVector } from "./vector.js";

const memory = (parts: Partial<wire.NewMemory> = {}): wire.NewMemory => ({ text: "a", tags: [], metadata: undefined, occurredAt: undefined, ...parts });
const message = (parts: Partial<wire.Message> = {}): wire.Message => ({ role: "user", content: "a", ...parts });
const request = (parts: Partial<wire.AddRequest>): wire.AddRequest => ({ memories: [], messages: [], ...parts });
const add = (parts: Partial<wire.NewMemory>) => () => parseAdd(request({ memories: [memory(), memory(parts)] }));
const say = (parts: Partial<wire.Message>) => () => parseAdd(request({ messages: [message(), message(parts)], runId: "run" }));

describe("parseAdd", () => {
  it("refuses the name __proto__ in metadata as it comes over the wire, wherever it stands: it is not lost on the way", () => {
    for (const [metadata, field] of [['{"__proto__":{"admin":true}}', "memories[0].metadata.__proto__"], ['{"a":[{"__proto__":1}]}', "memories[0].metadata.a[0].__proto__"]]) {
      const bytes = AddRequest.encode(request({ memories: [memory({ metadata: JSON.parse(metadata) as object })] })).finish();
      expect(faultOf(() => parseAdd(AddRequest.decode(bytes)))).toBe(field);
    }
  });

  it("gives frozen memories with each tag once, in the caller's order", () => {
    const { memories, userId } = parseAdd(request({
      memories: [memory({
        key: "doc-1", runId: "trip", role: "Ada", tags: ["b", "a", "b"], metadata: { k: 1 }, occurredAt: toTimestamp(new Date(1_000)), expiresAt: toTimestamp(new Date(2_000)),
        vector: encodeVector(Float32Array.of(1, 2)),
      })],
      userId: "ada",
    }));
    expect(memories).toEqual([{
      text: "a", key: "doc-1", runId: "trip", role: "Ada", tags: ["b", "a"], metadata: { k: 1 }, occurredAt: new Date(1_000), expiresAt: new Date(2_000),
      vector: Float32Array.of(1, 2),
    }]);
    expect(userId).toBe("ada");
    expect(Object.isFrozen(memories) && memories.every((one) => Object.isFrozen(one) && Object.isFrozen(one.tags))).toBe(true);
  });

  it("makes memories of a conversation's messages, in their order", () => {
    const { memories } = parseAdd(request({
      messages: [message({ content: "Hello", occurredAt: toTimestamp(new Date(0)) }), message({ role: "assistant", content: "Hi", metadata: { k: 1 }, vector: encodeVector(Float32Array.of(1)) })],
      runId: "run",
      agentId: "planner",
    }));
    expect(memories).toEqual([
      { text: "Hello", role: "user", runId: "run", agentId: "planner", tags: [], occurredAt: new Date(0) },
      { text: "Hi", role: "assistant", runId: "run", agentId: "planner", tags: [], metadata: { k: 1 }, vector: Float32Array.of(1) },
    ]);
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
    ["key", { key: "" }],
    ["key", { key: "a".repeat(LIMITS.keyCharacters + 1) }],
    ["agent_id", { agentId: "" }],
    ["run_id", { runId: "\0" }],
    ["role", { role: "a".repeat(LIMITS.labelCharacters + 1) }],
    ["source", { source: "\udc00" }],
    ["tags", { tags: Array.from({ length: LIMITS.tags + 1 }, (_, i) => `t${i}`) }],
    ["tags[1]", { tags: ["a", ""] }],
    ["tags[0]", { tags: ["a".repeat(LIMITS.tagCharacters + 1)] }],
    ["metadata.a[0]", { metadata: { a: [NaN] } }],
    ["occurred_at", { occurredAt: { seconds: 253_402_300_800n, nanos: 0 } }],
    ["occurred_at", { occurredAt: { seconds: 0n, nanos: -1 } }],
    ["expires_at", { expiresAt: { seconds: -62_135_596_801n, nanos: 0 } }],
    ["vector", { vector: Buffer.alloc(0) }],
    ["vector", { vector: Buffer.alloc(6, 1) }],
    ["vector", { vector: encodeVector(Float32Array.of(0, 0)) }],
    ["vector", { vector: encodeVector(Float32Array.of(1, NaN)) }],
    ["vector", { vector: encodeVector(Float32Array.of(1, -Infinity)) }],
  ])("refuses a fault in %s by its path", (field, parts) => {
    expect(faultOf(add(parts))).toBe(`memories[1].${field}`);
  });

  it.each<[string, Partial<wire.Message>]>([
    ["role", { role: "" }],
    ["content", { content: "" }],
    ["content", { content: "a".repeat(LIMITS.textCharacters + 1) }],
    ["metadata.a", { metadata: { a: Infinity } }],
    ["occurred_at", { occurredAt: { seconds: 0n, nanos: 1_000_000_000 } }],
    ["vector", { vector: Buffer.alloc(4) }],
  ])("refuses a fault in a message's %s by its path", (field, parts) => {
    expect(faultOf(say(parts))).toBe(`messages[1].${field}`);
  });

  it.each<[string, Partial<wire.AddRequest>]>([
    ["memories", {}],
    ["memories", { memories: Array<wire.NewMemory>(LIMITS.memoriesPerCall + 1).fill(memory()) }],
    ["memories[2].key", { memories: [memory({ key: "a" }), memory({ key: "b" }), memory({ key: "a" })] }],
    ["run_id", { memories: [memory()], runId: "run" }],
    ["agent_id", { memories: [memory()], agentId: "agent" }],
    ["messages", { memories: [memory()], messages: [message()], runId: "run" }],
    ["messages", { messages: Array<wire.Message>(LIMITS.memoriesPerCall + 1).fill(message()), runId: "run" }],
    ["run_id", { messages: [message()] }],
    ["run_id", { messages: [message()], runId: "" }],
    ["agent_id", { messages: [message()], runId: "run", agentId: "\0" }],
    ["user_id", { memories: [memory()], userId: "" }],
    ["user_id", { memories: [memory()], userId: "ada\0" }],
  ])("refuses a fault in %s of the request", (field, parts) => {
    expect(faultOf(() => parseAdd(request(parts)))).toBe(field);
  });

  it("takes as many as there may be", () => {
    expect(faultOf(() => parseAdd(request({ memories: Array<wire.NewMemory>(LIMITS.memoriesPerCall).fill(memory()) })))).toBeUndefined();
    expect(faultOf(() => parseAdd(request({ messages: Array<wire.Message>(LIMITS.memoriesPerCall).fill(message()), runId: "run" })))).toBeUndefined();
  });

  it("never says what the text was", () => {
    expect(add({ text: "my secret\0" })).toThrow(/^(?!.*my secret)/);
    expect(say({ content: "my secret\0" })).toThrow(/^(?!.*my secret)/);
  });
});

describe("a message on the wire", () => {
  it("brings metadata as it went", () => {
    const metadata = { a: [1, null, { b: true, c: "x" }], d: -0.5, e: {} };
    const { memories } = parseAdd(AddRequest.decode(AddRequest.encode(request({ memories: [memory({ metadata })] })).finish()));
    expect(memories[0]?.metadata).toEqual(metadata);
  });
});
