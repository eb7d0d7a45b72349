import { IndexerServiceService as Indexer } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { v7 as uuidV7 } from "uuid";
import { createIndexerWorld, newTenant, type IndexerWorld, type RunningIndexer } from "./start-indexer.js";
import { fill, LOAD, memories, p95, put, search, timeMs, type Figure } from "./synthetic-load.js";

const DIMENSION = 384;
/** Of the tenant whose latency is watched. */
const OWN_CHUNKS = 1_000;
const FOREIGN_CHUNKS = 200_000;
const COLD_CHUNKS = 100_000;
const NOISY_WRITERS = 50;
const WATCH_MS = 8_000;
const PAIRS = Number(process.env.MEMSEAL_SOAK_PAIRS ?? 5_000);
const RESAMPLES = 2_000;

export const title = "Isolation in time: what other tenants do, hold and name shows in no answer's latency";
export const settings = [
  LOAD,
  `the watched tenant has ${OWN_CHUNKS} chunks of ${DIMENSION} dimensions and one call in flight; ${WATCH_MS / 1_000} s idle, then as long under load`,
  `differences: ${PAIRS} interleaved pairs, the order within a pair at random; the 99% interval of the difference of medians by ${RESAMPLES} bootstrap samples`,
];

export async function run(): Promise<Figure[]> {
  const [alone, crowded] = [await createIndexerWorld(), await createIndexerWorld()];
  try {
    return [...(await absentAndForeign(alone)), ...(await foreignChunks(alone, crowded)), ...(await underLoad(crowded))];
  } finally {
    await Promise.all([alone.database.stop(), crowded.database.stop()]);
  }
}

async function absentAndForeign(world: IndexerWorld): Promise<Figure[]> {
  const indexer = await world.start();
  const [tenant, other] = [newTenant(), newTenant()];
  await fill(indexer, tenant, { chunks: OWN_CHUNKS, dimension: DIMENSION });
  const foreign = (await Promise.all(Array.from({ length: 5 }, () => put(indexer, other, memories(200, DIMENSION))))).flatMap(({ results }) => results.map(({ id }) => id));
  const get = (id: string) => indexer.call(Indexer.get, "read", tenant, { id }).then(() => { throw new Error("found"); }, (error: unknown) => { if ((error as { code?: string }).code !== "not_found") throw error; });
  // Of the same time: an id tells when it was made.
  const difference = await differenceOfMedians((i) => get(uuidV7({ msecs: Date.now() - i })), (i) => get(foreign[i % foreign.length] ?? ""));
  await indexer.process.kill("SIGTERM");
  return intervalOf("get of an absent id over a foreign one", difference);
}

async function foreignChunks(alone: IndexerWorld, crowded: IndexerWorld): Promise<Figure[]> {
  const writer = await crowded.start();
  for (let i = 0; i < 4; i++) await fill(writer, newTenant(), { chunks: FOREIGN_CHUNKS / 4, dimension: DIMENSION });
  await writer.process.kill("SIGTERM");
  await crowded.database.asSuperuser("VACUUM ANALYZE");
  await alone.database.asSuperuser("TRUNCATE memseal.memory, memseal.chunk");
  await alone.database.asSuperuser("VACUUM ANALYZE");
  const worlds = await Promise.all([alone, crowded].map(async (world) => {
    const [indexer, tenant] = [await world.start(), newTenant()];
    await fill(indexer, tenant, { chunks: OWN_CHUNKS, dimension: DIMENSION });
    return { indexer, tenant };
  }));
  const [one, two] = worlds;
  if (one === undefined || two === undefined) throw new Error("no world");
  const difference = await differenceOfMedians(() => search(one.indexer, one.tenant, DIMENSION), () => search(two.indexer, two.tenant, DIMENSION));
  await Promise.all(worlds.map(({ indexer }) => indexer.process.kill("SIGTERM")));
  return intervalOf(`search beside 0 foreign chunks over one beside ${FOREIGN_CHUNKS.toLocaleString("en")}`, difference);
}

async function underLoad(world: IndexerWorld): Promise<Figure[]> {
  const indexer = await world.start({ MEMSEAL_INDEX_CACHE_BYTES: "2000000000" });
  const [watched, noisy, huge] = [newTenant(), newTenant(), newTenant()];
  for (const tenant of [watched, noisy]) await fill(indexer, tenant, { chunks: OWN_CHUNKS, dimension: DIMENSION });
  await fill(indexer, huge, { chunks: COLD_CHUNKS, dimension: DIMENSION });
  const [idleSearch, idleWrite] = [await watch(WATCH_MS, () => search(indexer, watched, DIMENSION)), await watch(WATCH_MS, () => write(indexer, watched))];

  let isOver = false;
  const writers = Promise.all(Array.from({ length: NOISY_WRITERS }, async () => { while (!isOver) await write(indexer, noisy); }));
  const [noisySearch, noisyWrite] = [await watch(WATCH_MS, () => search(indexer, watched, DIMENSION)), await watch(WATCH_MS, () => write(indexer, watched))];
  isOver = true;
  await writers;

  let isLoaded = false;
  const loading = timeMs(() => search(indexer, huge, DIMENSION)).finally(() => { isLoaded = true; });
  const latencies: number[] = [];
  while (!isLoaded) latencies.push(await search(indexer, watched, DIMENSION));
  const loadMs = await loading;
  await indexer.process.kill("SIGTERM");
  const bound = (idle: number) => Math.max(2 * idle, 25);
  return [
    { what: "search p95, others idle", values: [idleSearch], unit: "ms", lowerIsBetter: true },
    { what: `search p95, ${NOISY_WRITERS} writers on another tenant`, values: [noisySearch], unit: "ms", lowerIsBetter: true, commit: bound(idleSearch) },
    { what: "write p95, others idle", values: [idleWrite], unit: "ms", lowerIsBetter: true },
    { what: `write p95, ${NOISY_WRITERS} writers on another tenant`, values: [noisyWrite], unit: "ms", lowerIsBetter: true, commit: bound(idleWrite) },
    { what: `search p95 while ${COLD_CHUNKS.toLocaleString("en")} chunks of another are loaded`, values: [p95(latencies)], unit: "ms", lowerIsBetter: true, commit: bound(idleSearch), note: `${latencies.length} searches; the load took ${Math.round(loadMs)} ms` },
  ];
}

const write = (indexer: RunningIndexer, tenant: UserHash) => put(indexer, tenant, memories(1, DIMENSION));

async function watch(forMs: number, call: () => Promise<unknown>): Promise<number> {
  const latencies: number[] = [];
  const until = performance.now() + forMs;
  while (performance.now() < until) latencies.push(await timeMs(call));
  return p95(latencies);
}

type Interval = readonly [low: number, high: number];

/** Median of `one` minus median of `two`, ms. */
async function differenceOfMedians(one: (i: number) => Promise<unknown>, two: (i: number) => Promise<unknown>): Promise<Interval> {
  const [ones, twos] = [new Float64Array(PAIRS), new Float64Array(PAIRS)];
  for (let i = 0; i < 200; i++) await Promise.all([one(i), two(i)]);
  for (let i = 0; i < PAIRS; i++) {
    if (Math.random() < 0.5) ones[i] = await timeMs(() => one(i));
    twos[i] = await timeMs(() => two(i));
    if (ones[i] === 0) ones[i] = await timeMs(() => one(i));
  }
  const differences = Float64Array.from({ length: RESAMPLES }, () => {
    const picked = Array.from({ length: PAIRS }, () => Math.floor(Math.random() * PAIRS));
    return median(Float64Array.from(picked, (i) => ones[i] ?? 0)) - median(Float64Array.from(picked, (i) => twos[i] ?? 0));
  }).sort();
  return [differences[Math.floor(RESAMPLES * 0.005)] ?? NaN, differences[Math.ceil(RESAMPLES * 0.995) - 1] ?? NaN];
}

const median = (values: Float64Array) => values.sort()[values.length >> 1] ?? NaN;

function intervalOf(what: string, [low, high]: Interval): Figure[] {
  return [{ what: `${what}: farther end of the interval`, values: [Math.max(Math.abs(low), Math.abs(high))], unit: "ms", lowerIsBetter: true, commit: 0.3, note: `${low.toFixed(3)} .. ${high.toFixed(3)}` }];
}
