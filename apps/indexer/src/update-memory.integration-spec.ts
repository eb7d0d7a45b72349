import type { MemoryChanges } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { newTenant, notes, randomVector, startIndexerTest, type IndexerTest, type TestIndexer } from "./indexer.fixture.js";

let test: IndexerTest;
let indexer: TestIndexer;

beforeAll(async () => {
  test = await startIndexerTest();
  indexer = test.newIndexer();
});

afterAll(() => test.stop());

interface Change extends MemoryChanges { id: string; ifMatch?: number; vector?: Float32Array }

async function update(tenant: UserHash, { id, ifMatch, vector, ...changes }: Change, by = indexer) {
  const chunks = vector === undefined ? [] : [{ start: 0, end: Array.from(changes.text ?? "").length, vector }];
  return (await by.update.update(by.callOf(tenant), { id, ifMatch, changes, chunks, model: "m" })).answer;
}

const absent = "0190a5d0-0000-7000-8000-000000000000";
const searched = (tenant: UserHash, query: string) => indexer.search.search(tenant, { query, candidates: 50 });

describe("an update", () => {
  it("changes what it names, clears what is null, and leaves the rest", async () => {
    const tenant = newTenant();
    const given = { key: "k", role: "Maya", source: "chat", tags: ["a"], metadata: { stars: 4 }, agentId: "planner", runId: "r" };
    const { id } = await indexer.put1(tenant, { ...notes(1)[0], ...given });
    const before = await indexer.reads.get(tenant, id);
    const answer = await update(tenant, { id, role: null, tags: null, source: "mail", expiresAt: new Date("2100-01-01T00:00:00.000Z") });
    const after = await indexer.reads.get(tenant, id);
    expect(after).toEqual(answer);
    expect(after).toEqual({ ...before, role: undefined, tags: [], source: "mail", expiresAt: { seconds: 4_102_444_800n, nanos: 0 }, version: 2, updatedAt: after.updatedAt });
    expect(after.updatedAt).not.toEqual(before.updatedAt);
    const [memory] = (await searched(tenant, "note")).candidates;
    expect(memory.memory).toEqual(after);
  });

  it("of the text takes new chunks: the old words find nothing any more", async () => {
    const tenant = newTenant();
    const { id } = await indexer.put1(tenant, { text: "allergic to walnuts", vector: randomVector() });
    expect((await searched(tenant, "walnuts")).candidates[0].scores?.bm25).toBeGreaterThan(0);
    await update(tenant, { id, text: "allergic to peanuts", vector: randomVector() });
    expect((await searched(tenant, "walnuts")).candidates.map(({ scores }) => scores?.bm25)).toEqual([0]);
    expect((await searched(tenant, "peanuts")).candidates[0].scores?.bm25).toBeGreaterThan(0);
    expect(await test.countOf(tenant, "chunk")).toBe(1);
  });

  it("seals every field anew: no blob of the version before is used again", async () => {
    const tenant = newTenant();
    const { id } = await indexer.put1(tenant, notes(1)[0]);
    const blobs = async () => (await test.rowsOf<{ blob: Buffer }>(tenant, `
      SELECT text_cipher AS blob FROM memseal.memory WHERE user_hash = $1 UNION ALL SELECT meta_cipher FROM memseal.memory WHERE user_hash = $1
      UNION ALL SELECT emb_cipher FROM memseal.chunk WHERE user_hash = $1`)).map(({ blob }) => blob.toString("hex"));
    const before = await blobs();
    await update(tenant, { id, role: "Maya" });
    expect((await blobs()).filter((blob) => before.includes(blob))).toEqual([]);
  });

  it("is refused for another version than If-Match names, and says which it is", async () => {
    const tenant = newTenant();
    const { id } = await indexer.put1(tenant, notes(1)[0]);
    expect(await update(tenant, { id, ifMatch: 1, role: "a" })).toMatchObject({ version: 2 });
    await expect(update(tenant, { id, ifMatch: 1, role: "b" })).rejects.toMatchObject({ code: "failed_precondition", message: "the memory has version 2 by now: read it and decide again" });
    expect(await indexer.reads.get(tenant, id)).toMatchObject({ role: "a", version: 2 });
  });

  it("with one If-Match by many at once: one wins, the others are told, nothing is lost", async () => {
    const tenant = newTenant();
    const { id } = await indexer.put1(tenant, notes(1)[0]);
    const others = [indexer, test.newIndexer(), test.newIndexer()];
    const outcomes = await Promise.allSettled(Array.from({ length: 9 }, (_v, i) => update(tenant, { id, ifMatch: 1, role: `writer ${i}` }, others[i % 3])));
    const won = outcomes.filter((outcome) => outcome.status === "fulfilled");
    expect(won).toHaveLength(1);
    for (const outcome of outcomes) if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "failed_precondition" });
    expect((await indexer.reads.get(tenant, id)).role).toBe(won[0].value.role);
  });

  it("without If-Match by many at once is tried again, then refused as aborted; each one accepted is in the history", async () => {
    const tenant = newTenant();
    const { id } = await indexer.put1(tenant, notes(1)[0]);
    const others = [indexer, test.newIndexer(), test.newIndexer()];
    const outcomes = await Promise.allSettled(Array.from({ length: 15 }, (_v, i) => update(tenant, { id, role: `writer ${i}` }, others[i % 3])));
    const accepted = outcomes.filter((outcome) => outcome.status === "fulfilled").map(({ value }) => value.role);
    for (const outcome of outcomes) if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "aborted", retryAfterS: 1 });
    expect(accepted.length).toBeGreaterThan(0);
    const history = await indexer.reads.history(tenant, id);
    expect(history.map(({ memory }) => memory?.version)).toEqual(Array.from({ length: accepted.length + 1 }, (_v, i) => accepted.length + 1 - i));
    expect(history.slice(0, -1).map(({ memory }) => memory?.role).sort()).toEqual(accepted.sort());
  });

  it("of an absent memory, a foreign one and one of nobody is the same not_found", async () => {
    const [alice, bob] = [newTenant(), newTenant()];
    const { id } = await indexer.put1(alice, notes(1)[0]);
    await indexer.put1(bob, notes(1)[0]);
    const refusals = await Promise.all([[bob, id], [bob, absent], [newTenant(), id]].map(([tenant, wanted]) => update(tenant as UserHash, { id: wanted, role: "x" }).catch((error: unknown) => error)));
    for (const refusal of refusals) expect(refusal).toEqual(refusals[0]);
    expect(refusals[0]).toMatchObject({ code: "not_found" });
    expect(await indexer.reads.get(alice, id)).toMatchObject({ version: 1 });
  });

  it("into the past, or with another model's vectors, is refused and changes nothing", async () => {
    const tenant = newTenant();
    const { id } = await indexer.put1(tenant, notes(1)[0]);
    await expect(update(tenant, { id, expiresAt: new Date(1) })).rejects.toMatchObject({ code: "invalid_argument", field: "expires_at" });
    await expect(update(tenant, { id, text: "x", vector: randomVector(5) })).rejects.toMatchObject({ code: "already_exists" });
    expect(await indexer.reads.get(tenant, id)).toMatchObject({ version: 1 });
  });
});

describe("an update of who speaks", () => {
  const AT_LEAST = 0.999;
  const similarity = async (tenant: UserHash, id: string, vector: Float32Array) => {
    const { candidates } = await indexer.search.search(tenant, { query: "note", vector, candidates: 50, mode: "dense" });
    return candidates.find(({ memory }) => memory?.id === id)?.scores?.similarity ?? 0;
  };
  const change = async (tenant: UserHash, id: string, changes: MemoryChanges, { vector, embeddedVersion, model = "m" }: { vector?: Float32Array; embeddedVersion?: number; model?: string }) => {
    const chunks = vector === undefined ? [] : [{ start: 0, end: 1, vector }];
    return (await indexer.update.update(indexer.callOf(tenant), { id, changes, chunks, model: vector === undefined ? "" : model, embeddedVersion })).answer;
  };

  it("needs no embedding where the vector is the caller's own, and keeps it whatever is sent", async () => {
    const tenant = newTenant();
    const own = randomVector();
    const [mine] = await indexer.add(tenant, [{ ...notes(1)[0], vector: own, hasOwnVector: true }, notes(1)[0]]);
    expect(await change(tenant, mine, { role: "Maya" }, { embeddedVersion: 0 })).toMatchObject({ role: "Maya", version: 2 });
    // As a gateway of the release before does it.
    expect(await change(tenant, mine, { role: "Ada" }, { vector: randomVector(), embeddedVersion: 2 })).toMatchObject({ role: "Ada", version: 3 });
    expect(await change(tenant, mine, { source: null, tags: ["a"] }, {})).toMatchObject({ version: 4 });
    expect(await similarity(tenant, mine, own)).toBeGreaterThan(AT_LEAST);
  });

  it("needs one of the version there is where the embedder made the vectors, and none where the same one speaks", async () => {
    const tenant = newTenant();
    const id = (await indexer.put1(tenant, { ...notes(1)[0], role: "Maya" })).id;
    for (const embeddedVersion of [0, 7]) {
      await expect(change(tenant, id, { role: "Ada" }, { embeddedVersion, vector: embeddedVersion === 0 ? undefined : randomVector() })).rejects.toMatchObject({ code: "aborted", field: "embedded_version" });
    }
    expect(await change(tenant, id, { role: "Maya", source: "mail" }, { embeddedVersion: 0 })).toMatchObject({ source: "mail", version: 2 });
    const anew = randomVector();
    await change(tenant, id, { role: null }, { vector: anew, embeddedVersion: 2 });
    expect(await similarity(tenant, id, anew)).toBeGreaterThan(AT_LEAST);
  });

  it("follows whoever made the vector last", async () => {
    const tenant = newTenant();
    const [id] = await indexer.add(tenant, [{ ...notes(1)[0], hasOwnVector: true }, notes(1)[0]]);
    await change(tenant, id, { text: "a" }, { vector: randomVector(), embeddedVersion: 1 });
    await expect(change(tenant, id, { role: "Ada" }, { embeddedVersion: 0 })).rejects.toMatchObject({ field: "embedded_version" });
    const own = randomVector();
    await change(tenant, id, { text: "b" }, { vector: own, model: "" });
    await change(tenant, id, { role: "Ada" }, { embeddedVersion: 0 });
    expect(await similarity(tenant, id, own)).toBeGreaterThan(AT_LEAST);
  });
});

describe("a history", () => {
  it("shows each version as it was, with its time, and none of another user's", async () => {
    const [tenant, other] = [newTenant(), newTenant()];
    const { id } = await indexer.put1(tenant, { text: "one", vector: randomVector(), role: "a" });
    await indexer.put1(other, notes(1)[0]);
    const second = await update(tenant, { id, text: "two", vector: randomVector() });
    const third = await update(tenant, { id, role: "b" });
    const history = await indexer.reads.history(tenant, id);
    expect(history.map(({ event, memory }) => [event, memory?.text, memory?.role, memory?.version])).toEqual([["update", "two", "b", 3], ["update", "two", "a", 2], ["create", "one", "a", 1]]);
    expect(history.slice(0, 2).map(({ at }) => at)).toEqual([third.updatedAt, second.updatedAt]);
    await expect(indexer.reads.history(other, id)).rejects.toMatchObject({ code: "not_found" });
    await indexer.deletes.deleteOne(indexer.callOf(tenant), id);
    await expect(indexer.reads.history(tenant, id)).rejects.toMatchObject({ code: "not_found" });
    expect(await test.countOf(tenant, "memory_version")).toBe(0);
  });
});
