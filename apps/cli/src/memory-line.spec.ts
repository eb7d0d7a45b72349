import type { Memory } from "@memseal/client";
import { InvalidArgumentError } from "@memseal/errors";
import fc from "fast-check";
import { lineOf, memoryOf } from "./memory-line.js";

const AT = "2023-05-08T13:56:00.000Z";
const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).filter((value) => value.isWellFormed() && !value.includes("\0"));
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const memory = fc.record({
  id: fc.uuid(),
  text,
  key: maybe(text),
  agentId: maybe(text),
  runId: maybe(text),
  position: maybe(fc.nat()),
  role: maybe(text),
  source: maybe(text),
  tags: fc.uniqueArray(text, { maxLength: 3 }),
  metadata: fc.dictionary(fc.stringMatching(/^[a-zA-Z_]{1,8}$/), fc.oneof(fc.integer(), text, fc.boolean(), fc.constant(null), fc.array(text, { maxLength: 2 })), { maxKeys: 3 }),
  occurredAt: fc.constant(AT),
  createdAt: fc.constant(AT),
  updatedAt: fc.constant(AT),
  expiresAt: maybe(fc.constant(AT)),
  version: fc.integer({ min: 1, max: 9 }),
}) as fc.Arbitrary<Memory>;

const addable = ({ id: _id, position: _position, createdAt: _created, updatedAt: _updated, version: _version, ...rest }: Memory) => rest;

describe("a line of an export", () => {
  it("says all that can be added again, and comes back as it went out", () => {
    fc.assert(fc.property(memory, (one) => {
      const { occurredAt, expiresAt, ...rest } = addable(one);
      const { memory: back, userId, leftOut } = memoryOf(lineOf(one));
      expect(back).toEqual({ ...rest, occurredAt: new Date(occurredAt), expiresAt: expiresAt && new Date(expiresAt), vector: undefined });
      expect([userId, leftOut]).toEqual([undefined, []]);
    }));
  });

  it.each([
    ["{", "line: is not JSON"],
    ["[]", "line: must be a JSON object"],
    ["{}", "text: is required"],
    ['{"text":""}', "text: "],
    ['{"text":"a","tag":["b"]}', "tag: is not a known field"],
    ['{"text":"a","tags":["b",""]}', "tags[1]: "],
    ['{"text":"a","occurred_at":"yesterday"}', "occurred_at: must be a time as in RFC 3339"],
    [JSON.stringify({ text: "a", metadata: { a: "x".repeat(10_240) } }), "metadata: "],
    ['{"text":"a","user_id":7}', "user_id: "],
  ])("is refused with the path of its fault: %s", (line, problem) => {
    expect(() => memoryOf(line)).toThrow(InvalidArgumentError);
    expect(() => memoryOf(line)).toThrow(problem);
  });
});

describe("a memory of mem0", () => {
  it("keeps its id as key, its categories as tags and its time, and says what has no place here", () => {
    const item = {
      id: "892db2ae-06d9-49e5-8b3e-585ef9b85b8e", memory: "Allergic to walnuts", hash: "c1", user_id: "alice", agent_id: null, run_id: "chat-7", role: "user",
      metadata: { category: "food" }, categories: ["health"], created_at: "2024-07-26T10:29:36.630547-07:00", updated_at: null, expiration_date: "2031-08-31", score: 0.4,
    };
    const { memory: one, userId, leftOut } = memoryOf(JSON.stringify(item));
    expect(one).toMatchObject({
      text: "Allergic to walnuts", key: item.id, runId: "chat-7", role: "user", tags: ["health"], metadata: { category: "food" },
      occurredAt: new Date("2024-07-26T17:29:36.630Z"), expiresAt: new Date("2031-08-31T23:59:59Z"), agentId: undefined,
    });
    expect(userId).toBe("alice");
    expect(leftOut).toEqual(["hash", "score"]);
  });

  it.each([['{"memory":""}', "text: "], ['{"memory":"a","categories":"b"}', "categories: is not as mem0 exports it"], ['{"memory":"a","created_at":"2024-07-26T10:29:36"}', "occurred_at: "]])(
    "is refused where it cannot be ours: %s", (line, problem) => {
      expect(() => memoryOf(line)).toThrow(problem);
    },
  );
});
