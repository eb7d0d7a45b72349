import { randomUUID } from "node:crypto";
import type { PutMemory } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { freePort } from "@memseal/transport/testing";
import pg from "pg";
import { createIndexerWorld, newTenant, type IndexerWorld, type RunningIndexer } from "./start-indexer.js";
import { fill, LOAD, memories, MEMORIES_A_CALL, p95, put, search, timeMs, vector, type Figure } from "./synthetic-load.js";

const SIZES = [1_000, 10_000, 100_000];
const DIMENSIONS = [384, 1_536];
const BATCH_ROUNDS = 9;
const WRITE_ROUNDS = 5;
const WRITE_ROUND_MS = 2_000;
const WRITERS = 8;
const SEARCH_ROUNDS = 5;
const WARM_UP_SEARCHES = 1_000;
const COLD_ROUNDS = 5;

export const title = "Indexer: one process over gRPC, on the embedded PostgreSQL, vectors supplied";
export const settings = [
  LOAD,
  `medians and spread of rounds; batch: 5 calls of ${MEMORIES_A_CALL} at once; writers: ${WRITERS}, one memory a call, ${WRITE_ROUND_MS / 1_000} s a round; cold: another process loads the tenant`,
  "references: the same rows unsealed in plain INSERTs of a client that waits for each; the dot products of a search alone, float32, in plain JavaScript",
];

async function rounds(count: number, round: () => Promise<number>): Promise<number[]> {
  const values: number[] = [];
  for (let i = 0; i < count; i++) values.push(await round());
  return values;
}

export async function run(): Promise<Figure[]> {
  const world = await createIndexerWorld();
  try {
    const indexer = await world.start();
    const figures = [...(await batchWrites(world, indexer)), ...(await singleWrites(indexer))];
    await indexer.process.kill("SIGTERM");
    for (const dimension of DIMENSIONS) for (const size of SIZES) figures.push(...(await searches(world, size, dimension)));
    return figures;
  } finally {
    await world.database.stop();
  }
}

async function batchWrites(world: IndexerWorld, indexer: RunningIndexer): Promise<Figure[]> {
  const dimension = 384;
  const tenant = newTenant();
  const client = new pg.Client(world.database.superuser);
  await client.connect();
  await client.query("CREATE TABLE plain (id uuid PRIMARY KEY, text bytea, meta bytea, embedding bytea)");
  const chunks = 5 * MEMORIES_A_CALL;
  const plain: number[] = [];
  const sealed: number[] = [];
  await put(indexer, tenant, memories(1, dimension));
  for (let round = 0; round <= BATCH_ROUNDS; round++) {
    const batches = Array.from({ length: 5 }, () => memories(MEMORIES_A_CALL, dimension));
    const plainMs = await timeMs(async () => { for (const batch of batches) await insertPlainly(client, batch); });
    const sealedMs = await timeMs(() => Promise.all(batches.map((batch) => put(indexer, tenant, batch))));
    // The first warms up.
    if (round > 0) plain.push(chunks / plainMs * 1_000);
    if (round > 0) sealed.push(chunks / sealedMs * 1_000);
  }
  await client.query("DROP TABLE plain");
  await client.end();
  return [
    { what: "batch write, 384-d: plain INSERTs", values: plain, unit: "chunks/s" },
    { what: "batch write, 384-d", values: sealed, unit: "chunks/s", commit: 5_000, aim: 8_000 },
    { what: "batch write over plain INSERTs", values: sealed.map((rate, i) => rate / (plain[i] ?? NaN)), unit: "x" },
  ];
}

async function insertPlainly(client: pg.Client, batch: PutMemory[]): Promise<void> {
  const values = batch.flatMap(({ text, chunks: [chunk] }) => [randomUUID(), Buffer.from(text), Buffer.alloc(60), chunk?.vector]);
  await client.query(`INSERT INTO plain VALUES ${batch.map((_memory, i) => `($${4 * i + 1}, $${4 * i + 2}, $${4 * i + 3}, $${4 * i + 4})`).join(", ")}`, values);
}

async function singleWrites(indexer: RunningIndexer): Promise<Figure[]> {
  const dimension = 384;
  const many = Array.from({ length: WRITERS }, newTenant);
  const one = Array.from({ length: WRITERS }, () => many[0]);
  for (const tenant of many) await put(indexer, tenant, memories(1, dimension));
  const round = async (tenants: readonly (UserHash | undefined)[]) => {
    const latencies: number[] = [];
    const until = performance.now() + WRITE_ROUND_MS;
    await Promise.all(tenants.map(async (tenant) => {
      while (tenant !== undefined && performance.now() < until) {
        const batch = memories(1, dimension);
        latencies.push(await timeMs(() => put(indexer, tenant, batch)));
      }
    }));
    return p95(latencies);
  };
  await round(many);
  return [
    { what: `write p95, ${WRITERS} clients on ${WRITERS} tenants`, values: await rounds(WRITE_ROUNDS, () => round(many)), unit: "ms", commit: 30, aim: 15, lowerIsBetter: true },
    { what: `write p95, ${WRITERS} clients on one tenant`, values: await rounds(WRITE_ROUNDS, () => round(one)), unit: "ms", commit: 60, aim: 25, lowerIsBetter: true },
  ];
}

async function searches(world: IndexerWorld, size: number, dimension: number): Promise<Figure[]> {
  const name = `${(size / 1_000).toLocaleString("en")}k chunks, ${dimension}-d`;
  const tenant = newTenant();
  const writer = await world.start();
  await fill(writer, tenant, { chunks: size, dimension });
  await writer.process.kill("SIGTERM");

  const cold: number[] = [];
  const residentBytes: number[] = [];
  let estimatedBytes = NaN;
  let indexer: RunningIndexer | undefined;
  for (let round = 0; round < (size > 10_000 ? 1 : COLD_ROUNDS); round++) {
    await indexer?.process.kill("SIGTERM");
    const metrics = `127.0.0.1:${await freePort()}`;
    indexer = await world.start({ MEMSEAL_METRICS_ADDRESS: metrics, MEMSEAL_INDEX_CACHE_BYTES: "4000000000" });
    const running = indexer;
    // Its connections and code are warm; the tenant is not.
    const other = newTenant();
    await put(running, other, memories(1, dimension));
    for (let i = 0; i < 20; i++) await search(running, other, dimension);
    const before = await gauge(metrics, "process_resident_memory_bytes");
    cold.push(await search(running, tenant, dimension));
    residentBytes.push(((await gauge(metrics, "process_resident_memory_bytes")) - before) / size);
    estimatedBytes = (await gauge(metrics, "memseal_index_bytes")) / size;
  }
  if (indexer === undefined) throw new Error("no round");
  const running = indexer;
  const warm = async (count: number) => {
    const latencies: number[] = [];
    for (let i = 0; i < count; i++) latencies.push(await search(running, tenant, dimension));
    return p95(latencies);
  };
  // Code that runs often is compiled again, for good, after some hundred searches; a service has that behind it.
  await warm(size > 10_000 ? 100 : WARM_UP_SEARCHES);
  const [warmMs, dotsMs] = [await rounds(SEARCH_ROUNDS, () => warm(size > 10_000 ? 50 : 200)), await rounds(SEARCH_ROUNDS, () => dotProducts(size, dimension))];
  await running.process.kill("SIGTERM");
  await world.database.asSuperuser("DELETE FROM memseal.memory");
  await world.database.asSuperuser("DELETE FROM memseal.chunk");
  await world.database.asSuperuser("VACUUM memseal.memory, memseal.chunk");

  const promised = size === 10_000 && { commit: dimension === 384 ? 8 : 12, aim: dimension === 384 ? 3 : 5, isPromised: dimension === 384 };
  return [
    { what: `dot products alone, ${name}`, values: dotsMs, unit: "ms", lowerIsBetter: true },
    { what: `warm search p95, ${name}`, values: warmMs, unit: "ms", lowerIsBetter: true, ...promised },
    { what: `cold first answer, ${name}`, values: cold, unit: "ms", lowerIsBetter: true, ...(size === 10_000 && dimension === 384 && { commit: 400, aim: 150, isPromised: false }) },
    { what: `memory a chunk, ${name}`, values: residentBytes, unit: "B", lowerIsBetter: true, note: `resident; estimated ${Math.round(estimatedBytes)}, of which the vector ${4 * dimension}` },
  ];
}

async function gauge(address: string, name: string): Promise<number> {
  const text = await (await fetch(`http://${address}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, "m").exec(text)?.[1]);
}

/** What an exact search cannot do without, on this machine in this run. */
function dotProducts(size: number, dimension: number): Promise<number> {
  const matrix = new Float32Array(size * dimension).fill(0.5);
  const wanted = vector(dimension);
  const scan = () => {
    let best = -Infinity;
    for (let row = 0; row < size; row++) {
      let sum = 0;
      for (let i = 0; i < dimension; i++) sum += (matrix[row * dimension + i] ?? 0) * (wanted[i] ?? 0);
      best = Math.max(best, sum);
    }
    return best;
  };
  scan();
  return timeMs(scan);
}
