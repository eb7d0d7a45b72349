import type { UserHash } from "@memseal/crypto";
import type { AuditRow } from "@memseal/storage";
import { chainEvents } from "./audit-trail.js";
import { newTenant, notes, startIndexerTest, type IndexerTest, type TestIndexer } from "./indexer.fixture.js";

let test: IndexerTest;
let indexer: TestIndexer;

beforeAll(async () => {
  test = await startIndexerTest();
  indexer = test.newIndexer();
});

afterAll(() => test.stop());

interface Row { n: string; at: Date; actor_ref: Buffer; action: string; target_ref: Buffer | null; outcome: string; mac: Buffer }
const rowsOf = (tenant: UserHash) => test.rowsOf<Row>(tenant, "SELECT * FROM memseal.audit_event WHERE user_hash = $1 ORDER BY n");

/** Numbers of the events that do not continue the one before them. */
async function broken(tenant: UserHash, rows?: Row[]): Promise<number[]> {
  const references = await (await test.keysOf(tenant)).referenceKey();
  let last: Pick<AuditRow, "n" | "mac"> | undefined;
  const wrong: number[] = [];
  for (const { n, at, actor_ref: actorRef, action, target_ref: target, outcome, mac } of rows ?? (await rowsOf(tenant))) {
    const [expected] = chainEvents(last, [{ actorRef, action, targetRef: target ?? undefined, outcome }], { at, references });
    if (expected.n !== Number(n) || !expected.mac.equals(mac)) wrong.push(Number(n));
    last = { n: Number(n), mac };
  }
  return wrong;
}

const everyAction = async (tenant: UserHash) => {
  const [one, two] = await indexer.add(tenant, notes(2, { tags: ["x"] }));
  await indexer.update.update(indexer.callOf(tenant), { id: one, changes: { role: "a" }, chunks: [], model: "m" });
  await indexer.deletes.deleteOne(indexer.callOf(tenant), two);
  await indexer.deletes.deleteMany(indexer.callOf(tenant), { selection: { filter: { field: ["tags"], op: "contains", value: "x" } }, dryRun: false });
};

describe("the audit trail", () => {
  it("has an event for each write, in their order, and none for what was refused or only counted", async () => {
    const tenant = newTenant();
    await everyAction(tenant);
    await indexer.deletes.deleteMany(indexer.callOf(tenant), { selection: { all: true }, dryRun: true });
    await expect(indexer.add(tenant, notes(1, { expiresAt: new Date(1) }))).rejects.toThrow();
    const { events } = await indexer.audit.list(tenant, { limit: 100 });
    expect(events.map(({ n, action, outcome }) => [n, action, outcome])).toEqual([[4n, "delete", "ok"], [3n, "delete", "ok"], [2n, "update", "ok"], [1n, "add", "ok"]]);
    expect(new Set(events.map(({ actor }) => actor.toString("hex"))).size).toBe(1);
    expect(await broken(tenant)).toEqual([]);
  });

  it("has an event for each token that a delegate key is given, where there is anything to read", async () => {
    const tenant = newTenant();
    const note = () => indexer.tokens.note(indexer.callOf(tenant, { actor: "api-key d" }));
    await note();
    await indexer.add(tenant, notes(1));
    await note();
    await note();
    const { events: [newest, one, added] } = await indexer.audit.list(tenant, { limit: 100 });
    expect([newest, one, added].map(({ n, action, target }) => [n, action, target === undefined])).toEqual([[3n, "token", true], [2n, "token", true], [1n, "add", false]]);
    expect(newest.actor.equals((await (await test.keysOf(tenant)).referenceKey()).reference("actor", "api-key d"))).toBe(true);
    expect(await broken(tenant)).toEqual([]);

    await indexer.erasure.erase(indexer.callOf(tenant));
    await note();
    expect((await rowsOf(tenant)).map(({ action }) => action)).toEqual(["add", "token", "token", "erase"]);
  });

  it("is one chain, however many indexers write at once", async () => {
    const tenant = newTenant();
    await indexer.add(tenant, notes(1));
    const others = [indexer, test.newIndexer(), test.newIndexer()];
    await Promise.all(Array.from({ length: 45 }, (_v, i) => others[i % 3].add(tenant, notes(1))));
    const rows = await rowsOf(tenant);
    expect(rows.map(({ n }) => Number(n))).toEqual(Array.from({ length: 46 }, (_v, i) => i + 1));
    expect(await broken(tenant)).toEqual([]);
  });

  it("shows an event that was altered, left out, moved or put between, to whoever has the reference key", async () => {
    const tenant = newTenant();
    await everyAction(tenant);
    const rows = await rowsOf(tenant);
    const altered = (change: Partial<Row>) => rows.map((row, i) => (i === 1 ? { ...row, ...change } : row));
    expect(await broken(tenant, rows)).toEqual([]);
    for (const change of [{ action: "add" }, { outcome: "refused" }, { at: new Date(rows[1].at.getTime() + 1) }, { actor_ref: rows[1].mac }, { target_ref: rows[0].target_ref }, { target_ref: null }]) {
      expect(await broken(tenant, altered(change))).toEqual([2]);
    }
    expect(await broken(tenant, altered({ mac: rows[0].mac }))).toEqual([2, 3]);
    expect(await broken(tenant, rows.filter((_row, i) => i !== 1))).toEqual([3]);
    // Numbered anew, it still does not fit.
    expect(await broken(tenant, rows.filter((_row, i) => i !== 1).map((row, i) => ({ ...row, n: String(i + 1) })))).toEqual([2, 3]);
    expect(await broken(tenant, [rows[0], rows[2], rows[1], rows[3]])).toEqual([3, 2, 4]);
  });

  it("says of an erasure that it was done, when nothing else is left", async () => {
    const tenant = newTenant();
    await indexer.add(tenant, notes(1));
    const rows = async () => (await rowsOf(tenant)).map(({ action }) => action);
    const references = await (await test.keysOf(tenant)).referenceKey();
    await indexer.erasure.erase(indexer.callOf(tenant));
    expect(await rows()).toEqual(["add", "erase"]);
    expect((await indexer.audit.list(tenant, { limit: 10 })).events.map(({ action }) => action)).toEqual(["erase", "add"]);
    const [add, erased] = await rowsOf(tenant);
    const [expected] = chainEvents({ n: 1, mac: add.mac }, [{ actorRef: erased.actor_ref, action: "erase", targetRef: undefined, outcome: "ok" }], { at: erased.at, references });
    expect(expected.mac).toEqual(erased.mac);
  });

  it("is listed page by page, to its own user alone, and names no actor or memory in the clear", async () => {
    const [tenant, other] = [newTenant(), newTenant()];
    await everyAction(tenant);
    await indexer.add(other, notes(1));
    const pages: bigint[][] = [];
    let cursor: string | undefined;
    do {
      const page = await indexer.audit.list(tenant, { limit: 3, cursor });
      pages.push(page.events.map(({ n }) => n));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(pages).toEqual([[4n, 3n, 2n], [1n]]);
    expect((await indexer.audit.list(other, { limit: 10 })).events.map(({ n }) => n)).toEqual([1n]);
    for (const made of ["audit 0", "audit -1", "audit x", "audit 3 "]) {
      await expect(indexer.audit.list(tenant, { limit: 3, cursor: Buffer.from(made).toString("base64url") })).rejects.toMatchObject({ code: "invalid_argument", field: "cursor" });
    }
    for (const row of await rowsOf(tenant)) expect(JSON.stringify(row)).not.toContain("api-key");
  });
});
