import { setTimeout as delay } from "node:timers/promises";
import type { Gateway, Json } from "./gateway.js";
import { OtlpReceiver, type SentSpan } from "./otlp-receiver.js";
import { Stack } from "./stack.js";

interface Figure {
  what: string;
  values: number[];
  unit: string;
  commit?: number;
  lowerIsBetter?: boolean;
  note?: string;
}

const USERS = 25;
const MEMORIES_A_USER = 100;
const MEMORIES_A_CALL = 50;
const DIMENSION = 384;
/** With speaker and query about 128 tokens. */
const WORDS_A_TEXT = 104;
const AUTH_ROUNDS = 6;
const NEW_KEYS_A_ROUND = 50;
const REQUESTS_PER_S = 100;
const LOAD_ROUNDS = 3;
const LOAD_S = 10;
/** Of the load, one in so many is a write. */
const WRITES = 5;
const BURST_ROUNDS = 8;
const STREAM_ROUNDS = 5;
const STREAMS_A_ROUND = 20;
/** Longer than spans wait before they are sent, by processes that share two cores. */
const SPANS_MS = 2_000;

export const title = "What an approval asks of a whole installation: gateway, indexer and reranker as three processes on the embedded PostgreSQL, over HTTP";
export const settings = [
  `${USERS} users of ${MEMORIES_A_USER} memories of ${WORDS_A_TEXT} words with vectors of ${DIMENSION} values; searches of 8 words, not reranked and with vectors of their own unless said; rates lifted, production's 250 ms for reranking`,
  `authentication: ${NEW_KEYS_A_ROUND} keys a round that the gateway has not seen, one after the other, without the scope that the call needs: it is refused once it is authenticated, and nothing else is done for it. What the caller waits, over HTTP`,
  `load: ${REQUESTS_PER_S} requests started a second whether others have ended or not, ${LOAD_S} s a round, one in ${WRITES} a write; the pool's use is the indexer's memseal_database_pool_use_ratio at each checkout, by the upper edge of its bucket`,
  `bursts: ${USERS} searches of as many users at once, alone and beside ${USERS} new keys, ${BURST_ROUNDS} rounds of both in turn, traced. A wait is the longest of the indexer's spans of statements: they begin before the connection is there, and hold the statement's own time, too`,
  `first value: streamed searches, embedded and reranked, ${STREAMS_A_ROUND} a round, one caller, from sending to the first byte of the first event`,
];

const WORDS = "house walk garden river letter morning train bread window music water light paper table winter road stone green small great happy quiet early open long city door book tree hand".split(" ");
const text = (words: number) => Array.from({ length: words }, () => WORDS[Math.floor(Math.random() * WORDS.length)]).join(" ");
const vector = () => Array.from({ length: DIMENSION }, () => Math.random() - 0.5);
const p95 = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? NaN;
const rounds = <T>(count: number, round: () => Promise<T>): Promise<T[]> => Array.from({ length: count }).reduce<Promise<T[]>>(async (before) => [...(await before), await round()], Promise.resolve([]));
const RATES = { MEMSEAL_RATES_CREDENTIAL: "read=10000,write=10000,rerank=10000", MEMSEAL_RATES_TENANT: "read=10000,write=10000,rerank=10000", MEMSEAL_RERANK_TIMEOUT_MS: "250" };

export async function run(): Promise<Figure[]> {
  const receiver = await OtlpReceiver.start();
  const traced = { MEMSEAL_OTLP_URL: receiver.url, OTEL_BSP_SCHEDULE_DELAY: "200" };
  const stack = await Stack.start({ indexer: traced });
  try {
    const gateway = await stack.startGateway(RATES);
    const users = await Promise.all(Array.from({ length: USERS }, (_, i) => stack.createKey(`bench-${i}`)));
    for (const key of users) await fill(gateway, key);
    return [
      ...(await authentication(stack, gateway)),
      ...(await poolUnderLoad(stack, gateway, users)),
      ...(await bursts(stack, await stack.startGateway({ ...RATES, ...traced, MEMSEAL_TRACE_SHARE: "1" }), users, receiver)),
      ...(await firstValue(gateway, users)),
    ];
  } finally {
    await stack.stop();
    receiver.stop();
  }
}

function post(gateway: Gateway, key: string, path: string, body: Json): Promise<Response> {
  return gateway.fetch(path, { method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: JSON.stringify(body) });
}

async function expectStatus(status: number, answer: Promise<Response>): Promise<void> {
  const response = await answer;
  const body = await response.text();
  if (response.status !== status) throw new Error(`answered ${response.status} instead of ${status}: ${body.slice(0, 200)}`);
}

async function timeMs(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

const add = (gateway: Gateway, key: string, memories: object[]) => expectStatus(201, post(gateway, key, "/v1/memories", { memories }));
const search = (gateway: Gateway, key: string) => expectStatus(200, post(gateway, key, "/v1/memories/search", { query: text(8), vector: vector(), rerank: false }));
/** Of a key that may write alone: refused once it is known whose it is. */
const authenticate = (gateway: Gateway, key: string) => expectStatus(403, post(gateway, key, "/v1/memories/search", { query: "walk" }));

async function fill(gateway: Gateway, key: string): Promise<void> {
  // The first is embedded here: its model is that of the streamed queries.
  await add(gateway, key, [{ text: text(WORDS_A_TEXT) }]);
  for (let stored = 1; stored < MEMORIES_A_USER; stored += MEMORIES_A_CALL) {
    await add(gateway, key, Array.from({ length: Math.min(MEMORIES_A_CALL, MEMORIES_A_USER - stored) }, () => ({ text: text(WORDS_A_TEXT), role: "Ada", vector: vector() })));
  }
}

let newUsers = 0;
/** One after the other: each has a connection to the database of its own. */
const newKeys = (stack: Stack, count: number) => rounds(count, () => stack.createKey(`new-${newUsers++}`, ["write"]));

async function authentication(stack: Stack, gateway: Gateway): Promise<Figure[]> {
  const known: number[] = [];
  const fresh = await rounds(AUTH_ROUNDS + 1, async () => {
    const keys = await newKeys(stack, NEW_KEYS_A_ROUND);
    const [first, again]: [number[], number[]] = [[], []];
    for (const key of keys) {
      first.push(await timeMs(() => authenticate(gateway, key)));
      again.push(await timeMs(() => authenticate(gateway, key)));
    }
    known.push(p95(again));
    return p95(first);
  });
  // The first warms up.
  return [
    { what: "authentication p95, a new key", values: fresh.slice(1), unit: "ms", commit: 50, lowerIsBetter: true },
    { what: "authentication p95, a known key", values: known.slice(1), unit: "ms", commit: 50, lowerIsBetter: true },
  ];
}

async function poolUnderLoad(stack: Stack, gateway: Gateway, users: readonly string[]): Promise<Figure[]> {
  const loads = await rounds(LOAD_ROUNDS + 1, async () => {
    const before = await poolUse(stack);
    const latencies: number[] = [];
    let failed = 0;
    const startedAt = performance.now();
    const requests: Promise<void>[] = [];
    for (let i = 0; i < REQUESTS_PER_S * LOAD_S; i++) {
      await delay(Math.max(0, startedAt + (i * 1_000) / REQUESTS_PER_S - performance.now()));
      const key = users[i % users.length] ?? "";
      const sentAt = performance.now();
      const request = i % WRITES === 0 ? add(gateway, key, [{ text: text(WORDS_A_TEXT), vector: vector() }]) : search(gateway, key);
      requests.push(request.then(() => { latencies.push(performance.now() - sentAt); }, () => { failed++; }));
    }
    await Promise.all(requests);
    const perS = (latencies.length * 1_000) / (performance.now() - startedAt);
    return { use: since(before, await poolUse(stack)), latency: p95(latencies), failed, perS };
  });
  // The first warms up: it reads every tenant for the first time.
  const measured = loads.slice(1);
  return [
    { what: `database connections in use, p95, at ${REQUESTS_PER_S} requests/s`, values: measured.map(({ use }) => use.p95), unit: "of 1", commit: 0.8, lowerIsBetter: true, note: `${measured.map(({ use }) => use.checkouts).join(", ")} checkouts; over 0.8: ${measured.map(({ use }) => use.over).join(", ")}` },
    { what: "requests answered a second of that load", values: measured.map(({ perS }) => perS), unit: "1/s", commit: REQUESTS_PER_S * 0.99 },
    { what: "requests of that load that failed", values: measured.map(({ failed }) => failed), unit: "", commit: 0, lowerIsBetter: true },
    { what: "request p95 under that load", values: measured.map(({ latency }) => latency), unit: "ms", lowerIsBetter: true },
  ];
}

/** Checkouts by upper edge, cumulative. */
async function poolUse(stack: Stack): Promise<Map<number, number>> {
  const metrics = await (await fetch(`http://${stack.addresses.indexerMetrics}/metrics`)).text();
  const lines = [...metrics.matchAll(/^memseal_database_pool_use_ratio_bucket\{.*le="([^"]+)".*\} (\d+)$/gm)];
  return new Map(lines.map(([, edge, count]) => [edge === "+Inf" ? Infinity : Number(edge), Number(count)]));
}

function since(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): { p95: number; over: number; checkouts: number } {
  const counts = [...after].map(([edge, count]) => ({ edge, count: count - (before.get(edge) ?? 0) }));
  const checkouts = counts.find(({ edge }) => edge === Infinity)?.count ?? 0;
  if (checkouts === 0) throw new Error("the load checked no connection out");
  return {
    p95: counts.find(({ count }) => count >= checkouts * 0.95)?.edge ?? NaN,
    over: checkouts - (counts.find(({ edge }) => edge === 0.8)?.count ?? 0),
    checkouts,
  };
}

async function bursts(stack: Stack, gateway: Gateway, users: readonly string[], receiver: OtlpReceiver): Promise<Figure[]> {
  const all = () => Promise.all(users.map((key) => timeMs(() => search(gateway, key))));
  const measured = await rounds(BURST_ROUNDS + 1, async () => {
    const keys = await newKeys(stack, USERS);
    const alone = await spansOf(receiver, all);
    const beside = await spansOf(receiver, async () => (await Promise.all([all(), ...keys.map((key) => authenticate(gateway, key))]))[0]);
    return { alone, beside, aloneMs: Math.max(...alone.result), besideMs: Math.max(...beside.result) };
  });
  // The first warms up.
  const counted = measured.slice(1);
  const slowest = (waits: readonly number[]) => {
    // More: keys of searches are looked up again after 30 s.
    if (waits.length < USERS) throw new Error(`${waits.length} traces of ${USERS}`);
    return Math.max(...waits);
  };
  const most = (values: number[]) => `slowest of all rounds ${Math.max(...values).toFixed(1)}`;
  const [searches, lookUps] = (["Search", "ResolveKey"] as const).map((method) => counted.map(({ beside }) => slowest(databaseWaits(beside.spans, method))));
  return [
    { what: `longest wait for the database, ${USERS} searches alone`, values: counted.map(({ alone }) => slowest(databaseWaits(alone.spans, "Search"))), unit: "ms", lowerIsBetter: true },
    longest(`${USERS} searches beside ${USERS} new keys`, searches),
    longest(`${USERS} new keys beside ${USERS} searches`, lookUps),
    { what: `longest look-up of a new key as the gateway sees it, beside ${USERS} searches`, values: counted.map(({ beside }) => slowest(lookUpsAt(beside.spans))), unit: "ms", lowerIsBetter: true },
    { what: `slowest of ${USERS} searches, alone`, values: counted.map(({ aloneMs }) => aloneMs), unit: "ms", lowerIsBetter: true, note: most(counted.map(({ aloneMs }) => aloneMs)) },
    { what: `slowest of ${USERS} searches, beside ${USERS} new keys`, values: counted.map(({ besideMs }) => besideMs), unit: "ms", lowerIsBetter: true, note: most(counted.map(({ besideMs }) => besideMs)) },
  ];
}

async function spansOf<T>(receiver: OtlpReceiver, work: () => Promise<T>): Promise<{ result: T; spans: SentSpan[] }> {
  const beganMs = Date.now();
  const result = await work();
  await delay(SPANS_MS);
  return { result, spans: receiver.spans.filter(({ startedAtMs }) => startedAtMs >= beganMs) };
}

const INDEXER = "memseal.indexer.v1.IndexerService";

/** Of each such call in the indexer the longest of its statements or transactions, ms. */
function databaseWaits(spans: readonly SentSpan[], method: "Search" | "ResolveKey"): number[] {
  return spans.filter(({ service, name }) => service === "memseal-indexer" && name === `${INDEXER}/${method}`)
    .map(({ spanId }) => Math.max(...spans.filter(({ parentSpanId }) => parentSpanId === spanId).map(({ durationMs }) => durationMs)));
}

function longest(whose: string, rounds: readonly number[]): Figure {
  return { what: `longest wait for the database in any round, ${whose}`, values: [Math.max(...rounds)], unit: "ms", commit: 100, lowerIsBetter: true, note: `rounds: ${rounds.map((ms) => ms.toFixed(1)).join(", ")}` };
}

/** Of each key that the gateway looked up, ms. */
function lookUpsAt(spans: readonly SentSpan[]): number[] {
  return spans.filter(({ service, name }) => service === "memseal-gateway" && name === `${INDEXER}/ResolveKey`).map(({ durationMs }) => durationMs);
}

async function firstValue(gateway: Gateway, users: readonly string[]): Promise<Figure[]> {
  const [key = ""] = users;
  const values = await rounds(STREAM_ROUNDS + 1, async () => {
    const latencies: number[] = [];
    for (let i = 0; i < STREAMS_A_ROUND; i++) latencies.push(await firstByteMs(gateway, key));
    return p95(latencies);
  });
  // The first warms up.
  return [{ what: "time to first value p95, streamed search", values: values.slice(1), unit: "ms", commit: 1_500, lowerIsBetter: true }];
}

async function firstByteMs(gateway: Gateway, key: string): Promise<number> {
  const startedAt = performance.now();
  const { body, status } = await post(gateway, key, "/v1/memories/search/stream", { query: text(8) });
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  const { done } = await reader.read();
  const ms = performance.now() - startedAt;
  if (done || status !== 200) throw new Error(`no stream: ${status}`);
  while (!(await reader.read()).done);
  return ms;
}
