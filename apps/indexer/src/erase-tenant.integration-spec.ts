import { setTimeout as delay } from "node:timers/promises";
import { ErasureReceipt } from "@memseal/contracts/indexer";
import { chunkRowId, encodeEmbedding, FIELD, open, OpenError, uuidBytes, type Keyring, type UserHash } from "@memseal/crypto";
import { Logger, Metrics } from "@memseal/telemetry";
import { newTenant, notes, putOf, randomVector, startIndexerTest, type IndexerTest, type TestIndexer } from "./indexer.fixture.js";
import { Maintenance } from "./maintenance.js";

let test: IndexerTest;
let indexer: TestIndexer;

beforeAll(async () => {
  test = await startIndexerTest();
  indexer = test.newIndexer();
});

afterAll(() => test.stop());

const maintain = () => new Maintenance({ database: test.database, due: test.due, metrics: new Metrics("stable"), log: new Logger("test", () => undefined) }).run();
const erase = (tenant: UserHash, by = indexer, idempotencyKey?: string) => by.erasure.erase(by.callOf(tenant, { idempotencyKey }));
const found = (tenant: UserHash, by = indexer) => by.search.search(tenant, { query: "note", candidates: 50 });

/** Everything in any table that opens under the tenant's keys at any place that its memories ever had. */
async function openable(tenant: UserHash, keyring: Keyring, ids: readonly string[]): Promise<Buffer[]> {
  const tables = await test.rowsOf<{ name: string }>(tenant, "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'memseal' AND $1::bytea IS NOT NULL");
  const opened: Buffer[] = [];
  for (const { name } of tables) {
    const rows = await test.rowsOf<Record<string, unknown>>(tenant, `SELECT * FROM memseal.${name} WHERE $1::bytea IS NOT NULL`);
    const blobs = rows.flatMap((row) => Object.values(row).filter((value) => Buffer.isBuffer(value)));
    const rowIds = [
      Buffer.alloc(16),
      ...ids.flatMap((id) => [uuidBytes(id), ...[1, 2].flatMap((generation) => [0, 1].map((chunkNo) => chunkRowId(id, generation, chunkNo)))]),
      ...rows.flatMap(({ key_ref: keyRef }) => (Buffer.isBuffer(keyRef) ? [keyRef.subarray(0, 16)] : [])),
    ];
    for (const blob of blobs) {
      for (const rowId of rowIds) {
        for (const field of Object.values(FIELD)) {
          for (const rowVersion of [1, 2, 3]) {
            try {
              opened.push(open(blob, keyring, { tenant, rowId, field, rowVersion }));
            } catch (error) {
              if (!(error instanceof OpenError)) throw error;
            }
          }
        }
      }
    }
  }
  return opened;
}

describe("what is gone", () => {
  const vector = randomVector();
  const secret = { text: "allergic to zebrafinches", vector, role: "Zebulon", metadata: { note: "zebrawood" } };
  const needles = [Buffer.from("zebrafinches"), Buffer.from("Zebulon"), Buffer.from("zebrawood"), encodeEmbedding({ start: 0, end: 1, vector }).subarray(8)];
  const holds = (opened: Buffer[]) => needles.map((needle) => opened.some((plaintext) => plaintext.includes(needle)));

  it.each<[string, (tenant: UserHash, id: string) => Promise<unknown>]>([
    ["deleted by id", (tenant, id) => indexer.deletes.deleteOne(indexer.callOf(tenant, { idempotencyKey: "d" }), id)],
    ["deleted with all", (tenant) => indexer.deletes.deleteMany(indexer.callOf(tenant), { selection: { all: true }, dryRun: false })],
    ["expired", async () => { await delay(1_100); await maintain(); }],
    ["erased", async (tenant) => { await erase(tenant); await maintain(); }],
  ])("when it was %s opens in no table, to text, words, metadata or vector, with the tenant's own keys", async (how, remove) => {
    const tenant = newTenant();
    const id = (await indexer.put1(tenant, { ...secret, expiresAt: how === "expired" ? new Date(Date.now() + 1_000) : undefined }, { idempotencyKey: "p" })).id;
    const { keyring } = await test.keysOf(tenant);
    // It has a version before, a kept answer of each call, and is found.
    await indexer.update.update(indexer.callOf(tenant, { idempotencyKey: "u" }), { id, changes: { source: "chat" }, chunks: [], model: "m" });
    expect((await found(tenant)).totalMatching).toBe(1);
    expect(holds(await openable(tenant, keyring, [id]))).toEqual([true, true, true, true]);
    await remove(tenant, id);
    expect(holds(await openable(tenant, keyring, [id]))).toEqual([false, false, false, false]);
  });
});

describe("an erasure", () => {
  it("destroys the keys at once: nothing is found, read, listed or written by any indexer, warm or cold", async () => {
    const [tenant, other] = [newTenant(), newTenant()];
    const [id] = await indexer.add(tenant, notes(3));
    await indexer.add(other, notes(3));
    const warm = test.newIndexer();
    expect((await found(tenant, warm)).totalMatching).toBe(3);
    const { nextCursor } = await warm.reads.list(tenant, { limit: 1 });
    const held = await warm.cache.use(tenant, (loaded) => loaded);
    const { answer: receipt } = await erase(tenant);
    expect(receipt.rootKeyId).toMatch(/^[0-9a-f]+$/);
    expect(await test.countOf(tenant, "tenant_key")).toBe(0);
    for (const by of [indexer, warm, test.newIndexer()]) {
      expect(await found(tenant, by)).toMatchObject({ candidates: [], totalMatching: 0, integrityFailures: 0 });
      await expect(by.reads.get(tenant, id)).rejects.toMatchObject({ code: "not_found" });
      await expect(by.reads.history(tenant, id)).rejects.toMatchObject({ code: "not_found" });
      expect((await by.reads.list(tenant, { limit: 10 })).memories).toEqual([]);
      await expect(by.reads.list(tenant, { limit: 10, cursor: nextCursor })).rejects.toMatchObject({ code: "invalid_argument" });
      await expect(by.update.update(by.callOf(tenant), { id, changes: { role: "x" }, chunks: [], model: "m" })).rejects.toMatchObject({ code: "not_found" });
      await expect(by.deletes.deleteOne(by.callOf(tenant), id)).rejects.toMatchObject({ code: "not_found" });
    }
    // Its index is zero, not only out of reach.
    expect([held?.cleared, held?.index.chunkCount]).toEqual([true, 0]);
    expect((await found(other)).totalMatching).toBe(3);
  });

  it("of a user who has nothing, or nothing any more, is not_found", async () => {
    const tenant = newTenant();
    await expect(erase(tenant)).rejects.toMatchObject({ code: "not_found" });
    await indexer.add(tenant, notes(1));
    await erase(tenant);
    await expect(erase(tenant)).rejects.toMatchObject({ code: "not_found" });
    await maintain();
    await expect(erase(tenant)).rejects.toMatchObject({ code: "not_found" });
  });

  it("that is sent again is answered with its receipt, before and after a new beginning, and erases nothing of that", async () => {
    const tenant = newTenant();
    const others = [indexer, test.newIndexer(), test.newIndexer()];
    await indexer.add(tenant, notes(2));
    const first = await Promise.all(Array.from({ length: 6 }, (_v, i) => erase(tenant, others[i % 3], "k")));
    expect(first.filter(({ isReplayed }) => !isReplayed)).toHaveLength(1);
    expect(new Set(first.map(({ answer }) => Buffer.from(ErasureReceipt.encode(answer).finish()).toString("hex"))).size).toBe(1);
    const again = { answer: first[0].answer, isReplayed: true };
    await maintain();
    expect(await erase(tenant, test.newIndexer(), "k")).toEqual(again);
    await expect(erase(tenant, indexer, "k2")).rejects.toMatchObject({ code: "not_found" });
    await expect(erase(newTenant(), indexer, "k")).rejects.toMatchObject({ code: "not_found" });
    await indexer.add(tenant, notes(3));
    for (const by of others) expect(await erase(tenant, by, "k")).toEqual(again);
    expect((await found(tenant)).totalMatching).toBe(3);
    const next = await erase(tenant, indexer, "k2");
    expect(next.isReplayed).toBe(false);
    expect(next.answer.erasedAt).not.toEqual(again.answer.erasedAt);
    expect((await found(tenant)).totalMatching).toBe(0);
  });

  it("leaves of its receipt no key's name, and nothing at all after a day", async () => {
    const tenant = newTenant();
    await indexer.put1(tenant, notes(1)[0], { idempotencyKey: "p" });
    await erase(tenant, indexer, "goodbye-maya");
    await maintain();
    const rows = await test.rowsOf<Record<string, unknown>>(tenant, "SELECT * FROM memseal.idempotency WHERE user_hash = $1");
    expect(rows).toHaveLength(1);
    expect(Object.values(rows[0]).map((value) => (Buffer.isBuffer(value) ? value.toString("latin1") : String(value))).join()).not.toContain("goodbye");
    const [{ next_due_at: dueAt }] = await test.rowsOf<{ next_due_at: Date }>(tenant, "SELECT next_due_at FROM memseal.tenant WHERE user_hash = $1");
    expect(dueAt).toEqual(rows[0]["expires_at"]);
    for (const [table, column] of [["idempotency", "expires_at"], ["tenant", "next_due_at"]]) await test.rowsOf(tenant, `UPDATE memseal.${table} SET ${column} = now() WHERE user_hash = $1`);
    await maintain();
    expect(await test.countOf(tenant, "idempotency")).toBe(0);
    expect(await test.rowsOf(tenant, "SELECT state, next_due_at FROM memseal.tenant WHERE user_hash = $1")).toEqual([{ state: "erased", next_due_at: null }]);
  });

  it("leaves room for a new beginning once the rows are gone, with other keys, another dimension and nothing of before", async () => {
    const tenant = newTenant();
    const warm = test.newIndexer();
    await indexer.put.put(indexer.callOf(tenant, { idempotencyKey: "k" }), putOf(notes(2, { key: "doc" }).slice(0, 1)));
    await found(tenant, warm);
    const before = await test.keysOf(tenant);
    await erase(tenant);
    await expect(indexer.add(tenant, notes(1))).rejects.toMatchObject({ code: "aborted", retryAfterS: 1, message: "what this user had is being erased; try again" });
    await maintain();
    const again = putOf(notes(1, { key: "doc", vector: randomVector(5) }));
    const { answer, isReplayed } = await warm.put.put(warm.callOf(tenant, { idempotencyKey: "k" }), again);
    expect([answer[0].event, isReplayed]).toEqual(["create", false]);
    for (const by of [indexer, warm]) expect((await found(tenant, by)).totalMatching).toBe(1);
    const [{ text_cipher: textCipher, id }] = await test.rowsOf<{ text_cipher: Buffer; id: string }>(tenant, "SELECT * FROM memseal.memory WHERE user_hash = $1");
    expect(() => open(textCipher, before.keyring, { tenant, rowId: uuidBytes(id), field: FIELD.text, rowVersion: 1 })).toThrow(OpenError);
  });

  it("is no loss of data to whoever reads or writes at that moment", async () => {
    const codes = new Set<string>();
    const seen = (calls: Promise<unknown>[]) => Promise.all(calls.map((call) => call.then(() => "ok", (error: unknown) => (error as { code: string }).code).then((code) => codes.add(code))));
    for (let round = 0; round < 40; round++) {
      const tenant = newTenant();
      const cold = test.newIndexer();
      const [id] = await indexer.add(tenant, notes(2));
      await seen([
        erase(tenant),
        found(tenant, cold), cold.reads.get(tenant, id), cold.reads.history(tenant, id), cold.reads.list(tenant, { limit: 9 }),
        cold.update.update(cold.callOf(tenant), { id, changes: { role: "a" }, chunks: [], model: "m" }), cold.add(tenant, notes(1)),
      ]);
    }
    expect(["ok", "not_found", "aborted"]).toEqual(expect.arrayContaining([...codes]));
  });

  it("while many write loses no acknowledged write after it, and keeps none from before it", async () => {
    const tenant = newTenant();
    const writers = [indexer, test.newIndexer(), test.newIndexer()];
    await indexer.add(tenant, notes(1));
    let erasedAt = Infinity;
    const acknowledged: { id: string; begun: number }[] = [];
    const writing = writers.map(async (by, i) => {
      // And on, until one is stored after the erasure, however long that takes.
      for (let n = 0; n < 60 || !acknowledged.some(({ begun }) => begun > erasedAt); n++) {
        const begun = performance.now();
        await by.add(tenant, notes(1, { role: `writer ${i}` })).then(
          ([id]) => acknowledged.push({ id, begun }),
          (error: unknown) => { expect(error).toMatchObject({ code: "aborted" }); return delay(5); },
        );
      }
    });
    await delay(60);
    await erase(tenant, writers[1]);
    erasedAt = performance.now();
    await maintain();
    await Promise.all(writing);
    const left = new Set((await indexer.reads.list(tenant, { limit: 1_000 })).memories.map(({ id }) => id));
    const after = acknowledged.filter(({ begun }) => begun > erasedAt);
    expect(after.length).toBeGreaterThan(0);
    for (const { id } of after) expect(left.has(id)).toBe(true);
    expect((await found(tenant)).integrityFailures).toBe(0);
    // One erasure, one new beginning.
    const [{ epoch }] = await test.rowsOf<{ epoch: number }>(tenant, "SELECT epoch FROM memseal.tenant WHERE user_hash = $1");
    expect(epoch).toBe(2);
  });
});
