import { setTimeout as delay } from "node:timers/promises";
import type { AddedMemory } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { newTenant, notes, putOf, randomVector, startIndexerTest, type IndexerTest, type TestIndexer, type TestMemory } from "./indexer.fixture.js";

let test: IndexerTest;
let indexer: TestIndexer;

beforeAll(async () => {
  test = await startIndexerTest();
  indexer = test.newIndexer();
});

afterAll(() => test.stop());

const note = (text: string, more: Partial<TestMemory> = {}): TestMemory => ({ text, vector: randomVector(), ...more });
const put = async (tenant: UserHash, memories: TestMemory[], by = indexer): Promise<AddedMemory[]> => (await by.put.put(by.callOf(tenant), putOf(memories))).answer;
const eventsOf = (added: AddedMemory[]) => added.map(({ event, version, position }) => [event, version, position]);
const textsOf = async (tenant: UserHash) => (await indexer.reads.list(tenant, { limit: 100 })).memories.map(({ text }) => text).sort();
const totals = async (tenant: UserHash) => {
  const [row] = await test.rowsOf<{ memories: string; bytes: string; counted: string }>(tenant, `
    SELECT memory_count AS memories, byte_count AS bytes,
      (SELECT sum(octet_length(text_cipher) + octet_length(meta_cipher)) FROM memseal.memory WHERE user_hash = $1)
      + (SELECT sum(octet_length(emb_cipher)) FROM memseal.chunk WHERE user_hash = $1)
      + (SELECT coalesce(sum(octet_length(text_cipher) + octet_length(meta_cipher)), 0) FROM memseal.memory_version WHERE user_hash = $1) AS counted
    FROM memseal.tenant WHERE user_hash = $1`);
  return row;
};

describe("a key", () => {
  it("known already updates its memory: same id, next version, the old text in its history", async () => {
    const tenant = newTenant();
    const [first] = await put(tenant, [note("draft", { key: "doc-1", tags: ["a"] })]);
    const [second] = await put(tenant, [note("final", { key: "doc-1", role: "editor" })]);
    expect(eventsOf([first, second])).toEqual([["create", 1, undefined], ["update", 2, undefined]]);
    expect([second.id, second.createdAt]).toEqual([first.id, first.createdAt]);
    expect(await indexer.reads.get(tenant, first.id)).toMatchObject({ text: "final", key: "doc-1", role: "editor", tags: [], version: 2 });
    expect((await indexer.reads.history(tenant, first.id)).map(({ memory, event }) => [memory?.text, event])).toEqual([["final", "update"], ["draft", "create"]]);
    const { memories, bytes, counted } = await totals(tenant);
    expect([memories, bytes]).toEqual(["1", counted]);
  });

  it("with the same memory changes nothing, unless a caller's own vector may have changed", async () => {
    const tenant = newTenant();
    await put(tenant, [note("same", { key: "k" })]);
    expect(eventsOf(await put(tenant, [note("same", { key: "k" })]))).toEqual([["duplicate", 1, undefined]]);
    const { answer } = await indexer.put.put(indexer.callOf(tenant), putOf([note("same", { key: "k" })], ""));
    expect(eventsOf(answer)).toEqual([["update", 2, undefined]]);
    const [own, embedded] = [note("own", { key: "a", hasOwnVector: true }), note("embedded", { key: "b" })];
    await put(tenant, [own, embedded]);
    expect(eventsOf(await put(tenant, [{ ...own, vector: randomVector() }, { ...embedded, vector: randomVector() }]))).toEqual([["update", 2, undefined], ["duplicate", 1, undefined]]);
  });

  it("is one user's own", async () => {
    const [alice, bob] = [newTenant(), newTenant()];
    const [hers] = await put(alice, [note("hers", { key: "k" })]);
    const [his] = await put(bob, [note("his", { key: "k" })]);
    expect(his.event).toBe("create");
    expect(his.id).not.toBe(hers.id);
    expect(await textsOf(alice)).toEqual(["hers"]);
  });

  it("written at once by many ends in one memory with every version in its history", async () => {
    const tenant = newTenant();
    const others = [indexer, test.newIndexer(), test.newIndexer()];
    await put(tenant, [note("seed")]);
    const outcomes = await Promise.allSettled(Array.from({ length: 12 }, (_v, i) => put(tenant, [note(`take ${i}`, { key: "hot" })], others[i % 3])));
    const accepted = outcomes.filter((outcome) => outcome.status === "fulfilled");
    for (const outcome of outcomes) if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "aborted", retryAfterS: 1 });
    const ids = new Set(accepted.map(({ value }) => value[0].id));
    expect(ids.size).toBe(1);
    const history = await indexer.reads.history(tenant, [...ids][0]);
    expect(history).toHaveLength(accepted.length);
    expect(new Set(history.map(({ memory }) => memory?.text)).size).toBe(accepted.length);
  });

  it("of a memory that has expired is free again", async () => {
    const tenant = newTenant();
    const [first] = await put(tenant, [note("old", { key: "k", expiresAt: new Date(Date.now() + 300) })]);
    await delay(400);
    const [second] = await put(tenant, [note("new", { key: "k" })]);
    expect(second).toMatchObject({ event: "create", version: 1 });
    expect(second.id).not.toBe(first.id);
    expect(await textsOf(tenant)).toEqual(["new"]);
    expect((await totals(tenant)).memories).toBe("1");
  });
});

describe("an exact duplicate", () => {
  it("stays the memory it is, in one call and from call to call", async () => {
    const tenant = newTenant();
    const [a, b, c] = await put(tenant, [note("walnuts", { tags: ["x"] }), note("walnuts", { tags: ["x"] }), note("walnuts", { tags: ["y"] })]);
    expect([a.event, b.event, c.event]).toEqual(["create", "duplicate", "create"]);
    expect(b.id).toBe(a.id);
    const [again] = await put(tenant, [note("walnuts", { tags: ["x"] })]);
    expect(again).toEqual({ ...a, event: "duplicate" });
    expect((await totals(tenant)).memories).toBe("2");
  });

  it("is one whoever made its vector", async () => {
    const tenant = newTenant();
    const [embedded] = await put(tenant, [note("walnuts")]);
    expect(await put(tenant, [note("walnuts", { hasOwnVector: true })])).toEqual([{ ...embedded, event: "duplicate" }]);
    await indexer.update.update(indexer.callOf(tenant), { id: embedded.id, changes: { tags: ["x"] }, chunks: [], model: "" });
    expect(eventsOf(await put(tenant, [note("walnuts", { tags: ["x"] })]))).toEqual([["duplicate", 2, undefined]]);
  });

  it("of what was deleted is stored anew", async () => {
    const tenant = newTenant();
    const [{ id }] = await put(tenant, [note("walnuts")]);
    await indexer.deletes.deleteOne(indexer.callOf(tenant), id);
    expect(eventsOf(await put(tenant, [note("walnuts")]))).toEqual([["create", 1, undefined]]);
  });

  it("in a conversation is said twice", async () => {
    const tenant = newTenant();
    const added = await put(tenant, [note("yes", { runId: "r" }), note("yes", { runId: "r" })]);
    expect(eventsOf(added)).toEqual([["create", 1, 0], ["create", 1, 1]]);
  });
});

describe("a run", () => {
  it("gives its memories positions in the order they came, beside other runs and after deletions", async () => {
    const tenant = newTenant();
    const run = (runId: string, count: number) => Array.from({ length: count }, (_v, i) => note(`${runId} ${i}`, { runId }));
    expect((await put(tenant, [...run("one", 2), ...run("two", 1), ...run("one", 1)])).map(({ position }) => position)).toEqual([0, 1, 0, 2]);
    const [last] = await put(tenant, run("one", 1));
    expect(last.position).toBe(3);
    expect((await indexer.reads.get(tenant, last.id)).position).toBe(3);
  });

  it("has no position twice, however many append at once", async () => {
    const tenant = newTenant();
    await put(tenant, [note("seed")]);
    const others = [indexer, test.newIndexer()];
    const added = await Promise.all(Array.from({ length: 30 }, (_v, i) => put(tenant, [note(`turn ${i}`, { runId: "r" }), note(`turn ${i}`, { runId: "r" })], others[i % 2])));
    expect(added.flat().map(({ position }) => position).sort((x, y) => x! - y!)).toEqual(Array.from({ length: 60 }, (_v, i) => i));
    // Those of one call stand side by side.
    for (const [one, two] of added) expect(two.position).toBe(one.position! + 1);
  });
});

describe("a call", () => {
  it("is stored whole or not at all", async () => {
    const tenant = newTenant();
    await put(tenant, [note("kept")]);
    const past = note("too late", { expiresAt: new Date(Date.now() - 1_000) });
    await expect(put(tenant, [note("lost"), past])).rejects.toMatchObject({ code: "invalid_argument", field: "memories[1].expires_at" });
    expect(await textsOf(tenant)).toEqual(["kept"]);
    const { memories, bytes, counted } = await totals(tenant);
    expect([memories, bytes]).toEqual(["1", counted]);
  });

  it("harms no other that is committed together with it", async () => {
    const tenant = newTenant();
    await put(tenant, [note("seed")]);
    const calls = Array.from({ length: 40 }, (_v, i) => put(tenant, [note(`call ${i}`, i % 3 === 0 ? { expiresAt: new Date(1) } : {})]));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status)).toEqual(Array.from({ length: 40 }, (_v, i) => (i % 3 === 0 ? "rejected" : "fulfilled")));
    const expected = Array.from({ length: 40 }, (_v, i) => i).filter((i) => i % 3 !== 0).map((i) => `call ${i}`);
    expect(await textsOf(tenant)).toEqual([...expected, "seed"].sort());
    const { memories, bytes, counted } = await totals(tenant);
    expect([memories, bytes]).toEqual([String(expected.length + 1), counted]);
    // Far fewer commits than calls: each takes one seq.
    const [{ seq }] = await test.rowsOf<{ seq: string }>(tenant, "SELECT seq FROM memseal.tenant WHERE user_hash = $1");
    expect(Number(seq)).toBeLessThan(20);
  });

  it("that would go over quota is refused, says what to do, and leaves room for what fits", async () => {
    const tenant = newTenant();
    const small = test.newIndexer({ quotas: { memories: 3 } });
    const ids = await small.add(tenant, notes(2));
    await expect(small.add(tenant, notes(2))).rejects.toMatchObject({ code: "resource_exhausted", message: "this user may keep at most 3 memories: delete some first" });
    await small.add(tenant, notes(1));
    await expect(small.add(tenant, notes(1))).rejects.toMatchObject({ code: "resource_exhausted" });
    await small.deletes.deleteOne(small.callOf(tenant), ids[0]);
    await small.add(tenant, notes(1));
    expect((await totals(tenant)).memories).toBe("3");

    const { bytes } = await totals(tenant);
    const full = test.newIndexer({ quotas: { bytes: Number(bytes) + 50 } });
    await expect(full.add(tenant, notes(1))).rejects.toMatchObject({ code: "resource_exhausted", message: expect.stringContaining("bytes") as string });
  });

  it("whose deadline has passed while it waited stores nothing", async () => {
    const tenant = newTenant();
    await put(tenant, [note("seed")]);
    await expect(indexer.put1(tenant, note("late"), { deadlineMs: Date.now() - 1 })).rejects.toMatchObject({ code: "deadline_exceeded" });
    expect(await textsOf(tenant)).toEqual(["seed"]);
  });
});
