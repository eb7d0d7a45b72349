import { setTimeout as delay } from "node:timers/promises";
import type { UserHash } from "@memseal/crypto";
import { Logger } from "@memseal/telemetry";
import { newTenant, notes, randomVector, startIndexerTest, type IndexerTest, type TestIndexer } from "./indexer.fixture.js";

let test: IndexerTest;
const lines: string[] = [];
const log = new Logger("test", (line) => { lines.push(line); });

beforeAll(async () => { test = await startIndexerTest(); });
beforeEach(() => { lines.length = 0; });
afterAll(() => test.stop());

const search = (by: TestIndexer, tenant: UserHash) => by.search.search(tenant, { query: "note", vector: randomVector(), candidates: 50 });
const audited = async (by: TestIndexer, tenant: UserHash) => (await by.audit.list(tenant, { limit: 100 })).events.filter(({ action }) => action === "integrity_failure").length;

/** One bit of one sealed value of a memory. */
async function flip(tenant: UserHash, id: string, [table, column, idColumn]: readonly [string, string, string]): Promise<void> {
  const rows = await test.rowsOf(tenant, `UPDATE memseal.${table} SET ${column} = set_byte(${column}, 40, get_byte(${column}, 40) # 1) WHERE user_hash = $1 AND ${idColumn} = $2 RETURNING 1`, id);
  expect(rows).toHaveLength(1);
}

const TEXT = ["memory", "text_cipher", "id"] as const;
const METADATA = ["memory", "meta_cipher", "id"] as const;
const EMBEDDING = ["chunk", "emb_cipher", "memory_id"] as const;

describe("a flipped bit", () => {
  it.each([["the text", TEXT], ["the metadata", METADATA], ["the embedding", EMBEDDING]])("in %s takes that memory from a cold index, and no other: said in each answer, counted, logged and audited once", async (_what, place) => {
    const tenant = newTenant();
    const writer = test.newIndexer();
    const [id, ...others] = await writer.add(tenant, notes(5));
    await flip(tenant, id, place);
    const [first, second] = [test.newIndexer({ log }), test.newIndexer({ log })];
    for (let again = 0; again < 3; again++) {
      // At once: each meets it before the other has audited it.
      for (const { candidates, integrityFailures, totalMatching } of await Promise.all([first, second].map((by) => search(by, tenant)))) {
        expect(candidates.map(({ memory }) => memory!.id).sort()).toEqual([...others].sort());
        expect([integrityFailures, totalMatching]).toEqual([1, 4]);
      }
      await Promise.all([first.damage.flush(), second.damage.flush()]);
    }
    expect(first.failures() + second.failures()).toBe(1);
    expect(await audited(first, tenant)).toBe(1);
    expect(lines.filter((line) => line.includes("sealed rows do not open"))).toHaveLength(1);
    expect(lines.join()).not.toContain(id);
  });

  it.each([["the text", TEXT], ["the metadata", METADATA]])("in %s takes that memory from a warm index's answers, and makes room for the next", async (_what, place) => {
    const tenant = newTenant();
    const indexer = test.newIndexer({ log });
    const ids = await indexer.add(tenant, notes(6));
    await search(indexer, tenant);
    await flip(tenant, ids[2], place);
    for (let again = 0; again < 3; again++) {
      const { candidates, integrityFailures } = await indexer.search.search(tenant, { query: "note", candidates: 5 });
      expect(candidates.map(({ memory }) => memory!.id).sort()).toEqual(ids.filter((id) => id !== ids[2]).sort());
      expect(integrityFailures).toBe(1);
      await indexer.damage.flush();
    }
    expect([indexer.failures(), await audited(indexer, tenant)]).toEqual([1, 1]);
  });

  it("is an error with the id alone where that memory is asked for, in its history and in a list", async () => {
    const tenant = newTenant();
    const indexer = test.newIndexer({ log });
    const [id] = await indexer.add(tenant, notes(2));
    await flip(tenant, id, TEXT);
    const refusal = { code: "data_loss", message: `memory ${id} cannot be opened` };
    await expect(indexer.reads.get(tenant, id)).rejects.toMatchObject(refusal);
    await expect(indexer.reads.history(tenant, id)).rejects.toMatchObject(refusal);
    await expect(indexer.reads.list(tenant, { limit: 10 })).rejects.toMatchObject(refusal);
    await expect(indexer.update.update(indexer.callOf(tenant), { id, changes: { role: "x" }, chunks: [], model: "m" })).rejects.toMatchObject(refusal);
    await indexer.damage.flush();
    expect([indexer.failures(), await audited(indexer, tenant)]).toEqual([1, 1]);
    await indexer.deletes.deleteOne(indexer.callOf(tenant), id);
    expect((await search(indexer, tenant)).integrityFailures).toBe(0);
  });

  it("mended or written over is found again", async () => {
    const tenant = newTenant();
    const indexer = test.newIndexer({ log });
    const { id } = await indexer.put1(tenant, notes(1, { key: "doc" })[0]);
    await flip(tenant, id, EMBEDDING);
    expect((await search(indexer, tenant)).integrityFailures).toBe(1);
    await indexer.put1(tenant, notes(1, { key: "doc" })[0]);
    const { candidates, integrityFailures } = await search(indexer, tenant);
    expect([candidates.length, integrityFailures]).toEqual([1, 0]);
    await indexer.damage.flush();
  });
});

describe("a search", () => {
  it("while the same memories are updated and deleted counts no damage, and finds each that stays", async () => {
    const tenant = newTenant();
    const [writer, reader, cold] = [test.newIndexer(), test.newIndexer(), test.newIndexer({ maxBytes: 1 })];
    const steady = await writer.add(tenant, notes(5));
    const churned = await writer.add(tenant, notes(20));
    let isOver = false;
    let writes = 0;
    const churn = Promise.all([0, 1].map(async (half) => {
      while (!isOver) {
        const at = half * 10 + Math.floor(Math.random() * 10);
        if (Math.random() < 0.7) {
          await writer.update.update(writer.callOf(tenant), { id: churned[at], changes: { text: `note ${Math.random()}` }, chunks: [{ start: 0, end: 5, vector: randomVector() }], model: "m" });
        } else {
          await writer.deletes.deleteOne(writer.callOf(tenant), churned[at]);
          [churned[at]] = await writer.add(tenant, notes(1));
        }
        writes++;
      }
    }));
    let searches = 0;
    const watch = Promise.all([reader, reader, cold].map(async (by) => {
      while (!isOver) {
        const { candidates, integrityFailures } = await search(by, tenant);
        expect(integrityFailures).toBe(0);
        expect(candidates.map(({ memory }) => memory!.id)).toEqual(expect.arrayContaining(steady));
        for (const { memory, passage } of candidates) expect(memory!.text.startsWith(passage!.text)).toBe(true);
        searches++;
      }
    }));
    // As many as show something, however busy the machine is.
    for (let seconds = 0; seconds < 4 || Math.min(writes, searches) <= 20; seconds++) await Promise.race([delay(1_000), churn, watch]);
    isOver = true;
    await Promise.all([churn, watch]);
    await Promise.all([reader, cold, writer].map(({ damage }) => damage.flush()));
    expect([reader, cold, writer].map((by) => by.failures())).toEqual([0, 0, 0]);
    expect(await audited(reader, tenant)).toBe(0);
  });
});
