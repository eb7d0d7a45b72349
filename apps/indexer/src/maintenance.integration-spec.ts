import type { UserHash } from "@memseal/crypto";
import { Logger, Metrics } from "@memseal/telemetry";
import { newTenant, notes, startIndexerTest, type IndexerTest, type TestIndexer } from "./indexer.fixture.js";
import { Maintenance } from "./maintenance.js";

const BLOB_TABLES = ["memory", "chunk", "memory_version", "memory_tombstone", "idempotency"];
let test: IndexerTest;
let indexer: TestIndexer;

beforeAll(async () => {
  test = await startIndexerTest();
  indexer = test.newIndexer();
});

afterAll(() => test.stop());

const maintenance = (rowsPerStep?: number) =>
  new Maintenance({ database: test.database, due: test.due, metrics: new Metrics("stable"), log: new Logger("test", () => undefined), rowsPerStep });
const soon = () => new Date(Date.now() + 60_000);

const countOf = (table: string, tenant: UserHash) => test.countOf(tenant, table);

interface TenantRow { state: string; seq: string; tombstone_floor: string; memory_count: string; byte_count: string; next_due_at: Date | null }
const tenantRow = async (tenant: UserHash) => (await test.rowsOf<TenantRow>(tenant, "SELECT * FROM memseal.tenant WHERE user_hash = $1"))[0];

/** What the tenant's rows take, counted from the rows. */
async function bytesStored(tenant: UserHash): Promise<number> {
  const [{ bytes }] = await test.rowsOf<{ bytes: string }>(
    tenant,
    `SELECT (SELECT coalesce(sum(octet_length(text_cipher) + octet_length(meta_cipher)), 0) FROM memseal.memory WHERE user_hash = $1)
       + (SELECT coalesce(sum(octet_length(text_cipher) + octet_length(meta_cipher)), 0) FROM memseal.memory_version WHERE user_hash = $1)
       + (SELECT coalesce(sum(octet_length(emb_cipher)), 0) FROM memseal.chunk WHERE user_hash = $1) AS bytes`,
  );
  return Number(bytes);
}

/** Lets time pass for a tenant: everything of it was so much earlier. */
async function age(tenant: UserHash, interval: string): Promise<void> {
  for (const [table, column] of [["memory", "expires_at"], ["memory_tombstone", "deleted_at"], ["idempotency", "expires_at"], ["tenant", "next_due_at"]]) {
    await test.rowsOf(tenant, `UPDATE memseal.${table} SET ${column} = ${column} - interval '${interval}' WHERE user_hash = $1`);
  }
}

describe("maintenance", () => {
  it("deletes what has expired, and nothing else, and every index learns of it", async () => {
    const tenant = newTenant();
    const kept = await indexer.add(tenant, notes(3));
    await indexer.add(tenant, notes(5, { expiresAt: soon() }));
    const found = (by: TestIndexer) => by.cache.use(tenant, ({ index }, now) => [index.memoryCount, index.select({ now }).length]);
    expect(await found(indexer)).toEqual([8, 8]);
    await age(tenant, "2 minutes");
    // Gone for callers at once; from the tables with the next run. The index from before knows the times from before.
    const later = test.newIndexer();
    expect(await found(later)).toEqual([8, 3]);
    expect((await indexer.reads.list(tenant, { limit: 50 })).memories.map(({ id }) => id).sort()).toEqual([...kept].sort());
    await maintenance(2).run();
    expect(await countOf("memory", tenant)).toBe(3);
    expect(await countOf("chunk", tenant)).toBe(3);
    expect([await found(indexer), await found(later)]).toEqual([[3, 3], [3, 3]]);
    const row = await tenantRow(tenant);
    expect([Number(row.memory_count), Number(row.byte_count)]).toEqual([3, await bytesStored(tenant)]);
    // What is due next is the purge of the tombstones.
    expect(row.next_due_at!.getTime()).toBeGreaterThan(Date.now() + 23 * 3_600_000);
  });

  it("purges tombstones after a day and raises the floor, so that an index from before is loaded anew", async () => {
    const tenant = newTenant();
    const ids = await indexer.add(tenant, notes(6));
    const behind = test.newIndexer();
    const before = await behind.cache.use(tenant, (loaded) => loaded);
    for (const id of ids.slice(0, 4)) await indexer.deletes.deleteOne(indexer.callOf(tenant), id);
    await maintenance().run();
    expect(await countOf("memory_tombstone", tenant)).toBe(4);
    await age(tenant, "25 hours");
    await maintenance(3).run();
    expect(await countOf("memory_tombstone", tenant)).toBe(0);
    const row = await tenantRow(tenant);
    expect(row.tombstone_floor).toBe(row.seq);
    expect(row.next_due_at).toBeNull();
    expect(await behind.cache.use(tenant, ({ index }) => index.memoryCount)).toBe(2);
    expect(before?.cleared).toBe(true);
  });

  it("purges kept answers after a day, not before", async () => {
    const tenant = newTenant();
    const [memory] = notes(1);
    const { id } = await indexer.put1(tenant, memory, { idempotencyKey: "once" });
    await maintenance().run();
    expect(await countOf("idempotency", tenant)).toBe(1);
    await age(tenant, "25 hours");
    await maintenance().run();
    expect(await countOf("idempotency", tenant)).toBe(0);
    expect((await indexer.reads.get(tenant, id)).text).toBe(memory.text);
  });

  it("keeps the newest 50 versions of a memory, the current one included, and the total of bytes", async () => {
    const tenant = newTenant();
    const [id] = await indexer.add(tenant, notes(1));
    for (let version = 2; version <= 56; version++) await indexer.update.update(indexer.callOf(tenant), { id, changes: { source: `v${version}` }, chunks: [], model: "m" });
    // Readers are shown no more, whenever maintenance comes.
    expect(await indexer.reads.history(tenant, id)).toHaveLength(50);
    await maintenance(4).run();
    expect(await countOf("memory_version", tenant)).toBe(49);
    expect((await indexer.reads.history(tenant, id)).map(({ memory }) => memory?.version)).toEqual(Array.from({ length: 50 }, (_v, i) => 56 - i));
    expect(Number((await tenantRow(tenant)).byte_count)).toBe(await bytesStored(tenant));
  });

  it("takes away every row of an erased tenant, also when it is cut off in between, and of no other", async () => {
    const [gone, other] = [newTenant(), newTenant()];
    for (const tenant of [gone, other]) {
      const [id] = await indexer.add(tenant, notes(9));
      await indexer.update.update(indexer.callOf(tenant, { idempotencyKey: "k" }), { id, changes: { role: "x" }, chunks: [], model: "m" });
      const [doomed] = await indexer.add(tenant, notes(1));
      await indexer.deletes.deleteOne(indexer.callOf(tenant), doomed);
    }
    const kept = await Promise.all(BLOB_TABLES.map((table) => countOf(table, other)));
    expect(kept.every((count) => count > 0)).toBe(true);
    await indexer.erasure.erase(indexer.callOf(gone));
    // A process that dies between two steps leaves the rest due.
    const cutOff = maintenance(2);
    const first = cutOff.run();
    await cutOff.stop();
    await first;
    expect((await tenantRow(gone)).state).toBe("erasing");
    await Promise.all([maintenance(2).run(), maintenance(2).run()]);
    await maintenance(2).run();
    expect(await Promise.all(BLOB_TABLES.map((table) => countOf(table, gone)))).toEqual([0, 0, 0, 0, 0]);
    expect(await tenantRow(gone)).toMatchObject({ state: "erased", memory_count: "0", byte_count: "0", next_due_at: null });
    expect(await Promise.all(BLOB_TABLES.map((table) => countOf(table, other)))).toEqual(kept);
  });

  it("sees to a tenant at once when it is told to, beside whatever writes", async () => {
    const tenant = newTenant();
    const running = maintenance(10);
    running.start();
    await indexer.add(tenant, notes(30, { expiresAt: soon() }));
    await age(tenant, "2 minutes");
    const writing = Promise.all(Array.from({ length: 20 }, () => indexer.add(tenant, notes(1))));
    running.kick(tenant);
    await writing;
    for (let waited = 0; (await countOf("memory", tenant)) > 20 && waited < 4_000; waited += 50) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await countOf("memory", tenant)).toBe(20);
    const row = await tenantRow(tenant);
    expect([Number(row.memory_count), Number(row.byte_count)]).toEqual([20, await bytesStored(tenant)]);
    await running.stop();
  });
});

describe("a due time", () => {
  it("that a write sets while maintenance runs is never lost", async () => {
    const tenant = newTenant();
    await indexer.add(tenant, notes(1));
    for (let round = 0; round < 30; round++) {
      await test.rowsOf(tenant, "UPDATE memseal.tenant SET next_due_at = now() WHERE user_hash = $1");
      await Promise.all([maintenance().run(), indexer.add(tenant, notes(1, { expiresAt: soon() }))]);
      const [{ earliest }] = await test.rowsOf<{ earliest: Date }>(tenant, "SELECT min(expires_at) AS earliest FROM memseal.memory WHERE user_hash = $1");
      expect((await tenantRow(tenant)).next_due_at!.getTime()).toBeLessThanOrEqual(earliest.getTime());
    }
  });
});
