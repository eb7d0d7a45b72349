import { setTimeout as delay } from "node:timers/promises";
import type { UserHash } from "@memseal/crypto";
import { newTenant, notes, putOf, randomVector, startIndexerTest, type IndexerTest, type TestIndexer } from "./indexer.fixture.js";

let test: IndexerTest;
let indexer: TestIndexer;

beforeAll(async () => {
  test = await startIndexerTest();
  indexer = test.newIndexer();
});

afterAll(() => test.stop());

const put = (tenant: UserHash, model: string, dimension = 8, by = indexer) => by.put.put(by.callOf(tenant), putOf(notes(1, { vector: randomVector(dimension) }), model));
const search = (tenant: UserHash, query: { model?: string; dimension?: number }, by = indexer) =>
  by.search.search(tenant, { query: "note", vector: randomVector(query.dimension ?? 8), model: query.model, candidates: 5 });
const removeAll = async (tenant: UserHash, by = indexer) => {
  const { memories } = await by.reads.list(tenant, { limit: 100 });
  for (const { id } of memories) await by.deletes.deleteOne(by.callOf(tenant), id);
};
const generationsOf = (tenant: UserHash) =>
  test.rowsOf<{ generation: number; model: string; dimension: number; state: string }>(tenant, "SELECT generation, model, dimension, state FROM memseal.embedding_generation WHERE user_hash = $1 ORDER BY generation");

describe("a write with vectors of another model", () => {
  it("is refused as a conflict that names both and what to do, and changes nothing", async () => {
    const tenant = newTenant();
    await put(tenant, "mini");
    for (const dimension of [8, 5]) {
      await expect(put(tenant, "large", dimension)).rejects.toMatchObject({
        code: "already_exists",
        message: `this user's vectors were made by mini, of 8 values, and the embedder now runs large, of ${dimension}: run the embedder with mini again, or delete all of this user's memories and add them anew`,
      });
    }
    expect(await generationsOf(tenant)).toEqual([{ generation: 1, model: "mini", dimension: 8, state: "active" }]);
  });

  it("or of the same name and another dimension is refused, too", async () => {
    const tenant = newTenant();
    await put(tenant, "mini");
    await expect(put(tenant, "mini", 5)).rejects.toMatchObject({ code: "already_exists" });
  });

  it("of callers' own of another dimension names the vector, and the number of values there must be", async () => {
    const tenant = newTenant();
    const { answer: [{ id }] } = await put(tenant, "mini");
    const problem = "must have 8 values, as this user's other vectors have";
    await expect(put(tenant, "", 5)).rejects.toMatchObject({ code: "invalid_argument", field: "memories[0].vector", message: `memories[0].vector: ${problem}` });
    const chunks = [{ start: 0, end: 1, vector: randomVector(5) }];
    await expect(indexer.update.update(indexer.callOf(tenant), { id, ifMatch: undefined, changes: { text: "a" }, chunks, model: "" })).rejects.toMatchObject({ field: "vector", message: `vector: ${problem}` });
  });

  it("says of callers' own vectors that they are, where the embedder's do not fit them", async () => {
    const tenant = newTenant();
    await put(tenant, "", 5);
    await expect(put(tenant, "mini")).rejects.toMatchObject({ code: "already_exists", message: expect.stringMatching(/^this user's vectors are the callers' own, of 5 values, .* send a vector with each memory, or delete/) as string });
  });
});

describe("a tenant without a memory", () => {
  it("takes the model and dimension of its next write, whatever the ones before were", async () => {
    const tenant = newTenant();
    const other = test.newIndexer();
    await put(tenant, "", 3);
    await put(tenant, "", 3, other);
    await search(tenant, { dimension: 3 }, other);
    await removeAll(tenant);
    await put(tenant, "mini");
    expect(await generationsOf(tenant)).toEqual([
      { generation: 1, model: "", dimension: 3, state: "retired" },
      { generation: 2, model: "mini", dimension: 8, state: "active" },
    ]);
    // Also where another process still knows the generation before.
    expect(await search(tenant, { model: "mini" }, other)).toMatchObject({ totalMatching: 1, modelMismatch: false });
    await put(tenant, "mini", 8, other);
    expect(await search(tenant, { model: "mini" })).toMatchObject({ totalMatching: 2 });
  });

  it("keeps its generation where the next write fits it", async () => {
    const tenant = newTenant();
    await put(tenant, "mini");
    await removeAll(tenant);
    await put(tenant, "mini");
    expect(await generationsOf(tenant)).toHaveLength(1);
  });

  it("takes one model only, however many write at once", async () => {
    const tenant = newTenant();
    const writers = [indexer, test.newIndexer(), test.newIndexer()];
    await put(tenant, "old", 3);
    await removeAll(tenant);
    const outcomes = await Promise.allSettled(Array.from({ length: 9 }, (_, i) => put(tenant, `model ${i % 3}`, 4 + (i % 3), writers[i % 3])));
    const [{ model, dimension }] = (await generationsOf(tenant)).filter(({ state }) => state === "active");
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.status === "fulfilled") expect(`model ${i % 3}`).toBe(model);
      else expect(["already_exists", "aborted"]).toContain((outcome.reason as { code: string }).code);
    }
    const stored = outcomes.filter(({ status }) => status === "fulfilled").length;
    expect(stored).toBeGreaterThan(0);
    for (const by of writers) expect(await search(tenant, { model, dimension }, by)).toMatchObject({ totalMatching: stored, integrityFailures: 0, modelMismatch: false });
  });

  it("is not one whose last memory a write is adding at this moment", async () => {
    const tenant = newTenant();
    await put(tenant, "old");
    await removeAll(tenant);
    const adding = put(tenant, "old");
    await delay(1);
    const [added, other] = await Promise.allSettled([adding, put(tenant, "new", 4, test.newIndexer())]);
    const winner = added.status === "fulfilled" ? { model: "old", dimension: 8 } : { model: "new", dimension: 4 };
    expect([added.status, other.status].filter((status) => status === "fulfilled")).toHaveLength(1);
    expect(await search(tenant, winner)).toMatchObject({ totalMatching: 1, modelMismatch: false });
  });
});

describe("a query's vector", () => {
  it("of another model is left out, and the answer says so; words rank", async () => {
    const tenant = newTenant();
    await put(tenant, "mini");
    for (const query of [{ model: "large" }, { model: "large", dimension: 5 }, { model: "mini", dimension: 5 }]) {
      const { candidates, modelMismatch } = await search(tenant, query);
      expect([candidates.length, modelMismatch, candidates[0]?.scores?.similarity]).toEqual([1, true, undefined]);
    }
    expect(await search(tenant, { model: "mini" })).toMatchObject({ modelMismatch: false, candidates: [{ scores: { similarity: expect.any(Number) as number } }] });
  });

  it("of the caller's own must have the dimension, and no name", async () => {
    const tenant = newTenant();
    await put(tenant, "mini");
    await expect(search(tenant, { dimension: 5 })).rejects.toMatchObject({ code: "invalid_argument", field: "vector" });
    expect(await search(tenant, {})).toMatchObject({ modelMismatch: false });
  });

  it("is compared with the model that the tenant got while its index was in memory", async () => {
    const tenant = newTenant();
    await put(tenant, "");
    expect(await search(tenant, { model: "large" })).toMatchObject({ modelMismatch: false });
    await put(tenant, "mini");
    expect(await search(tenant, { model: "large" })).toMatchObject({ modelMismatch: true });
  });
});
