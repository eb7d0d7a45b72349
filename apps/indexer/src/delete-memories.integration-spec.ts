import { setTimeout as delay } from "node:timers/promises";
import type { Selection } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { newTenant, notes, randomVector, startIndexerTest, type IndexerTest, type TestIndexer } from "./indexer.fixture.js";

let test: IndexerTest;
let indexer: TestIndexer;

beforeAll(async () => {
  test = await startIndexerTest();
  indexer = test.newIndexer();
});

afterAll(() => test.stop());

const absent = "0190a5d0-0000-7000-8000-000000000000";
const isTagged = (tag: string) => ({ field: ["tags"], op: "contains", value: tag }) as const;
const remove = async (tenant: UserHash, selection: Selection, dryRun = false, by = indexer) => (await by.deletes.deleteMany(by.callOf(tenant), { selection, dryRun })).answer;
const idsOf = async (tenant: UserHash, by = indexer) => (await by.reads.list(tenant, { limit: 100 })).memories.map(({ id }) => id).sort();
const found = async (tenant: UserHash, by: TestIndexer) => (await by.search.search(tenant, { query: "note", candidates: 50 })).totalMatching;

/** Each way to say which: by it, a dry run counts what a real one then deletes. */
describe.each<[string, (ids: string[]) => Selection, number]>([
  ["ids, of which some are absent or foreign", (ids) => ({ ids: [ids[0], ids[1], absent] }), 2],
  ["a key", () => ({ key: "doc" }), 1],
  ["a key that is not there", () => ({ key: "other" }), 0],
  ["a filter", () => ({ filter: isTagged("x") }), 3],
  ["a filter that matches nothing", () => ({ filter: isTagged("nothing") }), 0],
  ["everything", () => ({ all: true }), 7],
])("a deletion by %s", (_name, selectionOf, expected) => {
  it("deletes that and no more, on every indexer at once; a dry run counts it and deletes nothing", async () => {
    const [tenant, bystander] = [newTenant(), newTenant()];
    const other = test.newIndexer();
    const ids = [
      ...(await indexer.add(tenant, notes(3, { tags: ["x"] }))),
      ...(await indexer.add(tenant, notes(1, { key: "doc" }))),
      ...(await indexer.add(tenant, notes(3))),
    ];
    const theirs = await indexer.add(bystander, notes(2, { tags: ["x"] }));
    await indexer.add(bystander, notes(1, { key: "doc" }));
    expect([await found(tenant, indexer), await found(tenant, other)]).toEqual([7, 7]);
    const given = selectionOf(ids);
    const selection = "ids" in given ? { ids: [...given.ids, theirs[0]] } : given;
    expect(await remove(tenant, selection, true)).toBe(expected);
    expect(await idsOf(tenant)).toHaveLength(7);
    expect(await remove(tenant, selection)).toBe(expected);
    expect([await found(tenant, indexer), await found(tenant, other)]).toEqual([7 - expected, 7 - expected]);
    expect(await idsOf(tenant)).toHaveLength(7 - expected);
    expect(await test.countOf(tenant, "chunk")).toBe(7 - expected);
    expect(await remove(tenant, selection)).toBe(0);
    expect(await idsOf(bystander)).toHaveLength(3);
    // What follows is found, also where a deletion has left no tombstones.
    await other.add(tenant, notes(1));
    expect([await found(tenant, indexer), await found(tenant, other)]).toEqual([8 - expected, 8 - expected]);
  });
});

describe("a deletion", () => {
  it("of another version than If-Match names is refused, says which it is, and deletes nothing", async () => {
    const tenant = newTenant();
    const [id] = await indexer.add(tenant, notes(1));
    await indexer.update.update(indexer.callOf(tenant), { id, changes: { role: "a" }, chunks: [], model: "m" });
    for (const stale of [1, 3]) {
      await expect(indexer.deletes.deleteOne(indexer.callOf(tenant), id, stale)).rejects.toMatchObject({ code: "failed_precondition", message: "the memory has version 2 by now: read it and decide again" });
    }
    expect(await idsOf(tenant)).toEqual([id]);
    await expect(indexer.deletes.deleteOne(indexer.callOf(tenant), absent, 1)).rejects.toMatchObject({ code: "not_found" });
    expect(await indexer.deletes.deleteOne(indexer.callOf(tenant, { idempotencyKey: "k" }), id, 2)).toEqual({ answer: 1, isReplayed: false });
    expect(await indexer.deletes.deleteOne(indexer.callOf(tenant, { idempotencyKey: "k" }), id, 2)).toEqual({ answer: 1, isReplayed: true });
    await expect(indexer.deletes.deleteOne(indexer.callOf(tenant, { idempotencyKey: "k" }), id, 1)).rejects.toMatchObject({ code: "already_exists" });
  });

  it("of one version races updates: either it is deleted as it was read, or not at all", async () => {
    const tenant = newTenant();
    for (const id of await indexer.add(tenant, notes(8))) {
      const other = test.newIndexer();
      const [updated, deleted] = await Promise.allSettled([
        other.update.update(other.callOf(tenant), { id, changes: { role: "a" }, chunks: [], model: "m" }),
        indexer.deletes.deleteOne(indexer.callOf(tenant), id, 1),
      ]);
      expect([updated.status, deleted.status].filter((status) => status === "fulfilled")).toHaveLength(1);
      expect((await idsOf(tenant)).includes(id)).toBe(updated.status === "fulfilled");
    }
  });

  it("counts no memory that has expired: callers were shown none", async () => {
    const tenant = newTenant();
    const ids = await indexer.add(tenant, [...notes(2, { expiresAt: new Date(Date.now() + 300) }), ...notes(1)]);
    await delay(400);
    expect(await remove(tenant, { ids }, true)).toBe(1);
    await expect(indexer.deletes.deleteOne(indexer.callOf(tenant), ids[0])).rejects.toMatchObject({ code: "not_found" });
    expect(await remove(tenant, { all: true }, true)).toBe(1);
    expect(await remove(tenant, { all: true })).toBe(1);
    expect(await test.countOf(tenant, "memory")).toBe(0);
  });

  it("of a user who has nothing deletes nothing", async () => {
    expect(await remove(newTenant(), { all: true })).toBe(0);
    expect(await remove(newTenant(), { filter: isTagged("x") })).toBe(0);
  });

  it("needs no row to open", async () => {
    const tenant = newTenant();
    const ids = await indexer.add(tenant, notes(3));
    await test.rowsOf(tenant, "UPDATE memseal.memory SET text_cipher = 'x', meta_cipher = 'x' WHERE user_hash = $1");
    await test.rowsOf(tenant, "UPDATE memseal.chunk SET emb_cipher = 'x' WHERE user_hash = $1");
    await indexer.deletes.deleteOne(indexer.callOf(tenant), ids[0]);
    expect(await remove(tenant, { ids: [ids[1]] })).toBe(1);
    expect(await remove(tenant, { all: true })).toBe(1);
  });

  it("by a filter never takes what no longer matches, while others change it", async () => {
    const tenant = newTenant();
    const other = test.newIndexer();
    const saved: string[] = [];
    for (let round = 0; round < 10; round++) {
      const ids = await indexer.add(tenant, notes(4, { tags: [`round ${round}`] }));
      const changed = await Promise.allSettled([
        remove(tenant, { filter: isTagged(`round ${round}`) }),
        ...ids.slice(0, 2).map((id) => other.update.update(other.callOf(tenant), { id, changes: { tags: ["saved"] }, chunks: [], model: "m" })),
      ]);
      changed.slice(1).forEach(({ status }, i) => { if (status === "fulfilled") saved.push(ids[i]); });
    }
    // Whatever an acknowledged update had taken out of the filter's reach is there.
    expect(await idsOf(tenant)).toEqual(expect.arrayContaining(saved));
    expect((await indexer.reads.list(tenant, { limit: 100 })).memories.filter(({ tags }) => tags.includes("saved")).map(({ id }) => id).sort()).toEqual(saved.sort());
  });
});

describe("a page of a list", () => {
  it("with a filter holds what matches, newest first, each once, whatever is deleted meanwhile", async () => {
    const tenant = newTenant();
    const ids = await indexer.add(tenant, Array.from({ length: 20 }, (_v, i) => ({ text: `note ${i}`, vector: randomVector(), tags: i % 2 === 0 ? ["even"] : [] })));
    const even = ids.filter((_id, i) => i % 2 === 0).reverse();
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await indexer.reads.list(tenant, { limit: 3, cursor, filter: isTagged("even") });
      seen.push(...page.memories.map(({ id }) => id));
      cursor = page.nextCursor;
      // The last one seen: a page goes on from where it was all the same.
      if (seen.length === 3) await indexer.deletes.deleteOne(indexer.callOf(tenant), seen[2]);
    } while (cursor !== undefined);
    expect(seen).toEqual(even);
  });

  it("goes on from no cursor but its own user's, unaltered", async () => {
    const [alice, bob] = [newTenant(), newTenant()];
    await indexer.add(alice, notes(3));
    await indexer.add(bob, notes(3));
    const { nextCursor } = await indexer.reads.list(alice, { limit: 1 });
    const refused = { code: "invalid_argument", field: "cursor" };
    expect((await indexer.reads.list(alice, { limit: 5, cursor: nextCursor })).memories).toHaveLength(2);
    await expect(indexer.reads.list(bob, { limit: 5, cursor: nextCursor })).rejects.toMatchObject(refused);
    await expect(indexer.reads.list(newTenant(), { limit: 5, cursor: nextCursor })).rejects.toMatchObject(refused);
    const bytes = Buffer.from(nextCursor!, "base64url");
    for (let at = 0; at < bytes.length; at++) {
      const forged = Buffer.from(bytes);
      forged[at] ^= 1;
      await expect(indexer.reads.list(alice, { limit: 5, cursor: forged.toString("base64url") })).rejects.toMatchObject(refused);
    }
    await expect(indexer.reads.list(alice, { limit: 5, cursor: `${nextCursor!}=` })).rejects.toMatchObject(refused);
    // What it points at is not to be read from it.
    const { memories } = await indexer.reads.list(alice, { limit: 1 });
    expect(bytes.toString("hex")).not.toContain(memories[0].id.replaceAll("-", ""));
  });
});
