import { randomBytes } from "node:crypto";
import { SecretBytes, type UserHash } from "@memseal/crypto";
import { FileProvider, type RootProvider } from "@memseal/keys";
import { newTenant, notes, randomVector, startIndexerTest, type IndexerTest, type TestIndexer } from "./indexer.fixture.js";
import type { LoadedTenant, TenantCache } from "./tenant-cache.js";

const DIMENSION = 256;
/** Of one memory's vector. */
const MEMORY_BYTES = 4 * DIMENSION;

let test: IndexerTest;
/** Another process, as far as the database can tell: its cache is no concern of these tests. */
let writer: TestIndexer;

beforeAll(async () => {
  test = await startIndexerTest();
  writer = test.newIndexer();
});

afterAll(() => test.stop());

const put = (tenant: UserHash, count: number): Promise<string[]> => writer.add(tenant, notes(count, { vector: randomVector(DIMENSION) }));
const remove = (tenant: UserHash, id: string) => writer.deletes.deleteOne(writer.callOf(tenant), id);

const newCache = (maxBytes: number, root?: RootProvider) => test.newIndexer({ root, maxBytes }).cache;
const itself = (loaded: LoadedTenant) => loaded;
const found = (cache: TenantCache, tenant: UserHash) => cache.use(tenant, ({ index }, now) => index.search({ query: "note", limit: 100, now }).totalMatching);

describe("TenantCache", () => {
  it("counts an index as large as it grew, and zeroes what no longer fits", async () => {
    const cache = newCache(300 * MEMORY_BYTES);
    const [small, grown, other] = [newTenant(), newTenant(), newTenant()];
    await put(grown, 1);
    const index = (await cache.use(grown, itself))!;
    await put(grown, 100);
    expect(await found(cache, grown)).toBe(101);
    await put(small, 1);
    await found(cache, small);
    expect(index.cleared).toBe(false);
    await put(other, 100);
    await found(cache, other);
    expect(index.cleared).toBe(true);
    expect(index.index.memoryCount).toBe(0);
    expect(await found(cache, grown)).toBe(101);
  });

  it("serves an index that is larger than all of it, once, and zeroes it", async () => {
    const cache = newCache(10 * MEMORY_BYTES);
    const tenant = newTenant();
    await put(tenant, 50);
    const index = (await cache.use(tenant, itself))!;
    expect(index.cleared).toBe(true);
    expect(await Promise.all(Array.from({ length: 8 }, () => found(cache, tenant)))).toEqual(Array(8).fill(50));
  });

  it("answers for a tenant whose last memory was deleted, loaded afresh or caught up", async () => {
    const tenant = newTenant();
    const [id] = await put(tenant, 1);
    const warm = newCache(1e6);
    expect(await found(warm, tenant)).toBe(1);
    await remove(tenant, id);
    expect(await found(warm, tenant)).toBe(0);
    expect(await found(newCache(1e6), tenant)).toBe(0);
  });

  it("loads afresh behind the tombstone floor: deletions in between have left no trace", async () => {
    const tenant = newTenant();
    const ids = await put(tenant, 3);
    const cache = newCache(1e6);
    const before = (await cache.use(tenant, itself))!;
    await remove(tenant, ids[0]);
    await test.rowsOf(tenant, "DELETE FROM memseal.memory_tombstone WHERE user_hash = $1");
    await test.rowsOf(tenant, "UPDATE memseal.tenant SET tombstone_floor = seq WHERE user_hash = $1");
    expect(await found(cache, tenant)).toBe(2);
    expect(before.cleared).toBe(true);
  });

  it("drops an index of an earlier epoch, and of a tenant that is no longer active", async () => {
    const tenant = newTenant();
    await put(tenant, 2);
    const cache = newCache(1e6);
    const before = (await cache.use(tenant, itself))!;
    await test.rowsOf(tenant, "UPDATE memseal.tenant SET epoch = epoch + 1 WHERE user_hash = $1");
    expect(await found(cache, tenant)).toBe(2);
    expect(before.cleared).toBe(true);
    const after = (await cache.use(tenant, itself))!;
    await test.rowsOf(tenant, "UPDATE memseal.tenant SET state = 'erasing' WHERE user_hash = $1");
    expect(await found(cache, tenant)).toBeUndefined();
    expect(after.cleared).toBe(true);
  });

  it("never takes lost keys, or those of another root key, for no memories", async () => {
    const tenant = newTenant();
    await put(tenant, 1);
    await expect(found(newCache(1e6, new FileProvider(SecretBytes.of(randomBytes(32)))), tenant)).rejects.toMatchObject({ code: "data_loss", message: expect.stringContaining("wrapped by root key") as string });
    await test.rowsOf(tenant, "DELETE FROM memseal.tenant_key WHERE user_hash = $1");
    await expect(found(newCache(1e6), tenant)).rejects.toMatchObject({ code: "data_loss", message: expect.stringContaining("keys are missing") as string });
  });
});

describe("writes of one tenant", () => {
  it("deleting the last memory at once, many times over, delete it once and say so", async () => {
    const tenant = newTenant();
    const [id] = await put(tenant, 1);
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => test.newIndexer().deletes.deleteOne(writer.callOf(tenant), id)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const outcome of outcomes) if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "not_found" });
    const [totals] = await test.rowsOf(tenant, "SELECT memory_count, byte_count FROM memseal.tenant WHERE user_hash = $1");
    expect(totals).toEqual({ memory_count: "0", byte_count: "0" });
  });

  it("wait in line without a connection each, and are refused beyond the line's length", async () => {
    const busy = newTenant();
    await put(busy, 1);
    // Remembers the tenant: none of those that follow reads before its turn.
    await put(busy, 1);
    const outcomes = await Promise.allSettled(Array.from({ length: 400 }, () => put(busy, 1)));
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    for (const { reason } of refused) expect(reason).toMatchObject({ code: "resource_exhausted" });
    const kept = outcomes.length - refused.length;
    expect(kept).toBeGreaterThanOrEqual(256);
    expect(await found(newCache(1e8), busy)).toBe(kept + 2);
  });
});
