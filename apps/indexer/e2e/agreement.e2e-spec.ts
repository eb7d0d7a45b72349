import { setTimeout as delay } from "node:timers/promises";
import { encodeVector, IndexerServiceService as Indexer, type PutMemory, type SearchResponse } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { freePort } from "@memseal/transport/testing";
import fc from "fast-check";
import { createIndexerWorld, newTenant, type IndexerWorld, type RunningIndexer } from "./start-indexer.js";

const WORDS = ["walnut", "bicycle", "piano", "garden", "winter"];
const TAGS = ["home", "work"];
const DIMENSION = 6;
const TENANTS = 3;
/** Searches give at most 100: a tenant is kept below. */
const MAX_MEMORIES = 60;

let world: IndexerWorld;
let indexers: RunningIndexer[];
let metricsPorts: number[];

beforeAll(async () => {
  world = await createIndexerWorld();
  metricsPorts = [await freePort(), await freePort()];
  indexers = await Promise.all(metricsPorts.map((port) => world.start({ MEMSEAL_METRICS_ADDRESS: `127.0.0.1:${port}` })));
});

afterAll(async () => {
  await Promise.all(indexers.map((indexer) => indexer.process.kill("SIGTERM")));
  await world.database.stop();
});

/** What a caller knows of a memory from the answers that were given. */
interface Known { text: string; tags: string[]; version: number; key?: string }
type Model = Map<string, Known>;

const operation = fc.record({
  kind: fc.oneof(
    { weight: 40, arbitrary: fc.constant("put" as const) },
    { weight: 10, arbitrary: fc.constant("upsert" as const) },
    { weight: 20, arbitrary: fc.constant("update" as const) },
    { weight: 15, arbitrary: fc.constant("delete" as const) },
    { weight: 4, arbitrary: fc.constant("delete by tag" as const) },
    { weight: 1, arbitrary: fc.constant("delete all" as const) },
    { weight: 1, arbitrary: fc.constant("erase" as const) },
    { weight: 8, arbitrary: fc.constant("delete, seen by one alone before its tombstone is purged" as const) },
  ),
  tenant: fc.nat(TENANTS - 1),
  writer: fc.nat(1),
  words: fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 6 }),
  tags: fc.subarray(TAGS),
  inRun: fc.boolean(),
  pick: fc.nat(),
  vector: fc.array(fc.integer({ min: -4, max: 4 }), { minLength: DIMENSION, maxLength: DIMENSION }).filter((values) => values.some((value) => value !== 0)),
  query: fc.record({ word: fc.constantFrom(...WORDS), tag: fc.option(fc.constantFrom(...TAGS), { nil: undefined }) }),
});
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

const isTagged = (tag: string) => ({ kind: { $case: "condition" as const, value: { field: "tags", op: "contains", value: tag } } });

/** The text is made one of its kind by the step: exact duplicates are another test's. */
function memoryOf({ words, tags, vector, inRun }: Operation, step: number, key?: string): PutMemory {
  const text = `${words.join(" ")} ${step}`;
  return { text, tags, metadata: undefined, occurredAt: undefined, key, runId: inRun ? "run" : undefined, chunks: [{ start: 0, end: text.length, vector: encodeVector(Float32Array.from(vector)) }] };
}

/** A write may wait for maintenance to end an erasure. */
async function whenErased<T>(write: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      if ((error as { code?: string }).code !== "aborted" || attempt === 100) throw error;
      await delay(20);
    }
  }
}

async function put(model: Model, tenant: UserHash, at: RunningIndexer, memory: PutMemory): Promise<void> {
  const { results: [added] } = await whenErased(() => at.call(Indexer.put, "write", tenant, { memories: [memory], model: "test" }));
  model.set(added.id, { text: memory.text, tags: memory.tags, version: added.version, key: memory.key });
}

async function perform(next: Operation, step: number, model: Model, tenant: UserHash): Promise<void> {
  const { kind, pick, query, vector, writer, words, tags } = next;
  const at = indexers[writer];
  const [id, known] = [...model][pick % Math.max(1, model.size)] ?? [];
  switch (kind) {
    case "put": return model.size < MAX_MEMORIES ? put(model, tenant, at, memoryOf(next, step)) : undefined;
    case "upsert": return put(model, tenant, at, memoryOf(next, step, `key ${pick % 5}`));
    case "update": {
      if (id === undefined || known === undefined) return;
      const text = `${words.join(" ")} ${step}`;
      const chunks = [{ start: 0, end: text.length, vector: encodeVector(Float32Array.from(vector)) }];
      const { version } = await at.call(Indexer.update, "write", tenant, { changes: { id, text, tags: { tags }, clear: [] }, chunks, model: "test" });
      model.set(id, { ...known, text, tags, version });
      return;
    }
    case "delete":
    case "delete, seen by one alone before its tombstone is purged": {
      if (id === undefined) return;
      await at.call(Indexer.delete, "write", tenant, { id });
      model.delete(id);
      if (kind === "delete") return;
      await at.call(Indexer.search, "read", tenant, { query: query.word, filters: undefined, candidates: 1 });
      // As maintenance does a day later: the other one is behind the floor, and must load anew.
      const bytes = Buffer.from(tenant, "hex");
      await world.database.asSuperuser("UPDATE memseal.tenant SET tombstone_floor = seq WHERE user_hash = $1", [bytes]);
      await world.database.asSuperuser("DELETE FROM memseal.memory_tombstone WHERE user_hash = $1", [bytes]);
      return;
    }
    case "delete by tag": {
      const tag = query.tag ?? TAGS[0];
      const doomed = [...model].filter(([, memory]) => memory.tags.includes(tag));
      const answer = await at.call(Indexer.deleteMany, "write", tenant, { ids: [], filters: isTagged(tag), all: false, dryRun: false });
      expect(answer.deleted).toBe(doomed.length);
      for (const [one] of doomed) model.delete(one);
      return;
    }
    case "delete all":
      expect((await at.call(Indexer.deleteMany, "write", tenant, { ids: [], all: true, dryRun: false })).deleted).toBe(model.size);
      model.clear();
      return;
    case "erase":
      await at.call(Indexer.erase, "admin", tenant, {}).catch((error: unknown) => { expect(error).toMatchObject({ code: "not_found" }); });
      model.clear();
  }
}

/** What two indexes of the same rows must have in common, however each came to it. */
function comparable({ candidates, totalMatching, integrityFailures }: SearchResponse) {
  const scored = candidates.map(({ memory, scores, passage }) => ({ id: memory!.id, passage: passage!.text, version: memory!.version, ...scores }));
  return { totalMatching, integrityFailures, scored: scored.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

async function compare({ query, vector }: Operation, model: Model, tenant: UserHash): Promise<void> {
  const request = { query: query.word, vector: encodeVector(Float32Array.from(vector)), filters: query.tag === undefined ? undefined : isTagged(query.tag), candidates: 100 };
  const [one, two] = (await Promise.all(indexers.map((indexer) => indexer.call(Indexer.search, "read", tenant, request)))).map(comparable);
  const expected = [...model].filter(([, { tags }]) => query.tag === undefined || tags.includes(query.tag)).sort(([a], [b]) => (a < b ? -1 : 1));
  expect(one.scored.map(({ id, passage, version }) => [id, passage, version])).toEqual(expected.map(([id, { text, version }]) => [id, text, version]));
  expect([one.totalMatching, one.integrityFailures]).toEqual([expected.length, 0]);
  // Caught up by rows here, loaded whole there: sums of other orders differ in their last digits.
  expect(two.scored).toHaveLength(one.scored.length);
  two.scored.forEach(({ fused, bm25, similarity, ...exact }, i) => {
    const { fused: fused1, bm25: bm251, similarity: similarity1, ...exact1 } = one.scored[i];
    expect([exact.id, exact.passage, exact.version]).toEqual([exact1.id, exact1.passage, exact1.version]);
    expect(Math.abs(fused! - fused1!)).toBeLessThan(1e-6);
    expect(Math.abs((bm25 ?? 0) - (bm251 ?? 0))).toBeLessThan(1e-6);
    expect(Math.abs((similarity ?? 0) - (similarity1 ?? 0))).toBeLessThan(1e-6);
  });
}

async function refreshes(port: number, how: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(new RegExp(`memseal_index_refreshes_total\\{how="${how}"[^}]*\\} (\\d+)`).exec(text)?.[1]);
}

const steps = Number(process.env.MEMSEAL_SOAK_STEPS ?? 800);
const seed = Number(process.env.MEMSEAL_SOAK_SEED ?? 20261126);

it(`two indexers on one database agree with what was acknowledged after each of ${steps} random writes, and with each other`, async () => {
  const tenants = Array.from({ length: TENANTS }, () => ({ tenant: newTenant(), model: new Map() as Model }));
  for (const [step, next] of fc.sample(operation, { numRuns: steps, seed }).entries()) {
    const { tenant, model } = tenants[next.tenant];
    try {
      await perform(next, step, model, tenant);
      await compare(next, model, tenant);
    } catch (error) {
      throw new Error(`step ${step} of seed ${seed}, ${next.kind}: ${(error as Error).message}`, { cause: error });
    }
  }
  for (const port of metricsPorts) {
    const [caughtUp, loaded] = [await refreshes(port, "catch_up"), await refreshes(port, "load")];
    console.log(`${steps} steps: ${caughtUp} indexes caught up by rows, ${loaded} loaded whole`);
    expect(caughtUp).toBeGreaterThan(steps / 4);
    expect(loaded).toBeGreaterThan(steps / 25);
  }
}, 60_000 + steps * 100);
