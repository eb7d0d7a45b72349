import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { encodeVector, IndexerServiceService as Indexer, type PutMemory } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { createIndexerWorld, newTenant, type IndexerWorld, type RunningIndexer } from "./start-indexer.js";

const WRITERS = 8;
/** Two writers each, so that their writes are committed together. */
const TENANTS = 4;
const MEMORIES_A_CALL = 2;
const CHUNKS_A_MEMORY = 2;
/** PostgreSQL's supervisor gives up on a server that dies more often within a minute each. */
const MAX_POSTMASTER_KILLS = 6;

let world: IndexerWorld;
/** The one that runs now; none while it is down. */
let indexer: RunningIndexer | undefined;

beforeAll(async () => {
  world = await createIndexerWorld();
  indexer = await world.start();
});

afterAll(async () => {
  await indexer?.process.kill("SIGTERM");
  await world.database.stop();
});

/** What was acknowledged of a tenant: versions by text. */
type Acknowledged = Map<string, { id: string; version: number }>;

interface Writing {
  tenant: UserHash;
  acknowledged: Acknowledged;
  /** Acknowledged calls of each writer. */
  calls: number[];
}

const vector = () => encodeVector(Float32Array.from({ length: 8 }, () => Math.random() - 0.5));

/** Of a run: there a text that came twice would be stored twice. */
function memory(text: string): PutMemory {
  const middle = text.length >> 1;
  return { text, tags: [], metadata: undefined, occurredAt: undefined, runId: "run", chunks: [{ start: 0, end: middle, vector: vector() }, { start: middle, end: text.length, vector: vector() }] };
}

/** Sends the same request until it is answered: whoever was told nothing knows nothing. */
async function untilAnswered<T>(send: (at: RunningIndexer) => Promise<T>): Promise<T> {
  for (;;) {
    try {
      if (indexer !== undefined) return await send(indexer);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === undefined || !["unavailable", "aborted", "deadline_exceeded", "cancelled", "resource_exhausted"].includes(code)) throw error;
    }
    await delay(10);
  }
}

async function write(writing: Writing, writer: number, stop: AbortSignal): Promise<void> {
  for (let call = 0; !stop.aborted; call++) {
    const name = `writer ${writer} call ${call}`;
    const texts = Array.from({ length: MEMORIES_A_CALL }, (_v, i) => `${name} memory ${i}`);
    const { results } = await untilAnswered((at) => at.call(Indexer.put, "write", writing.tenant, { memories: texts.map(memory), model: "test" }, `put-${writer}-${call}`));
    results.forEach(({ id, version }, i) => writing.acknowledged.set(texts[i], { id, version }));
    // One of them is changed: done once, it is at version 2.
    const { id, version } = await untilAnswered((at) =>
      at.call(Indexer.update, "write", writing.tenant, { changes: { id: results[0].id, role: name, clear: [] }, chunks: [], model: "test" }, `update-${writer}-${call}`));
    writing.acknowledged.set(texts[0], { id, version });
    writing.calls[writer] = call + 1;
  }
}

async function listed(tenant: UserHash, at: RunningIndexer) {
  const all: { id: string; text: string; version: number; position: number }[] = [];
  let cursor: string | undefined;
  do {
    const page = await at.call(Indexer.list, "read", tenant, { limit: 100, cursor });
    all.push(...page.results.map(({ id, text, version, position }) => ({ id, text, version, position: position! })));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return all;
}

/** Kills -9 the indexer and starts another. */
async function killIndexer(): Promise<void> {
  const victim = indexer!;
  indexer = undefined;
  await victim.process.kill("SIGKILL");
  victim.client.close();
  indexer = await startAgain();
}

/** As a supervisor does: a start while the database recovers is refused. */
async function startAgain(): Promise<RunningIndexer> {
  for (;;) {
    try {
      return await world.start();
    } catch (error) {
      if (!(error as Error).message.includes("the database cannot be reached")) throw error;
    }
  }
}

/** Kills -9 one process of the server: the others end with it, and the database recovers from its log. */
function killBackend(): void {
  const postmaster = world.database.server.pid!;
  const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, "utf8").trim().split(" ").map(Number);
  process.kill(children[Math.floor(Math.random() * children.length)], "SIGKILL");
}

const rounds = Number(process.env.MEMSEAL_SOAK_ROUNDS ?? 5);

it(`after ${rounds} kills -9 of indexer and PostgreSQL under ${WRITERS} writers every acknowledged memory is there, none twice, none half`, async () => {
  const writings = Array.from({ length: TENANTS }, (): Writing => ({ tenant: newTenant(), acknowledged: new Map(), calls: [] }));
  const stop = new AbortController();
  const writers = Array.from({ length: WRITERS }, (_v, writer) => write(writings[writer % TENANTS], writer, stop.signal));
  const failed = Promise.all(writers).then(() => new Promise<never>(() => undefined));
  const kills = { indexer: 0, backend: 0, postmaster: 0 };
  const run = async () => {
    for (let round = 0; round < rounds; round++) {
      const before = writings.flatMap(({ calls }) => calls).reduce((sum, count) => sum + count, 0);
      await delay(100 + Math.random() * 500);
      const victim = (["indexer", "backend", "postmaster"] as const)[round % 3];
      const target = victim === "postmaster" && kills.postmaster >= MAX_POSTMASTER_KILLS ? "backend" : victim;
      kills[target]++;
      if (target === "indexer") await killIndexer();
      else if (target === "backend") killBackend();
      else process.kill(world.database.server.pid!, "SIGKILL");
      // The next kill meets writers at work.
      while (writings.flatMap(({ calls }) => calls).reduce((sum, count) => sum + count, 0) < before + WRITERS) await delay(20);
    }
  };
  await Promise.race([run(), failed]);
  stop.abort();
  await Promise.all(writers);

  let total = 0;
  for (const { tenant, acknowledged } of writings) {
    const found = await listed(tenant, indexer!);
    expect(found.map(({ id, text, version }) => [text, id, version]).sort()).toEqual([...acknowledged].map(([text, { id, version }]) => [text, id, version]).sort());
    expect(found.map(({ position }) => position).sort((a, b) => a - b)).toEqual(found.map((_memory, i) => i));
    const bytes = Buffer.from(tenant, "hex");
    const counts = await world.database.asSuperuser("SELECT count(*) AS chunks, (SELECT count(*) FROM memseal.memory_version WHERE user_hash = $1) AS versions FROM memseal.chunk WHERE user_hash = $1", [bytes]);
    expect(counts).toEqual([{ chunks: String(found.length * CHUNKS_A_MEMORY), versions: String(found.length / MEMORIES_A_CALL) }]);
    const response = await indexer!.call(Indexer.search, "read", tenant, { query: "writer call memory", filters: undefined, candidates: 100 });
    expect([response.totalMatching, response.integrityFailures]).toEqual([found.length, 0]);
    total += found.length;
  }
  console.log(`${rounds} rounds, killed ${JSON.stringify(kills)}: ${total} memories acknowledged, ${total} found`);
}, 120_000 + rounds * 10_000);
