import { encodeVector, toTimestamp } from "@memseal/contracts";
import type { Gateway } from "./gateway.js";
import { Stack } from "./stack.js";

interface Figure {
  what: string;
  values: number[];
  unit: string;
  commit?: number;
  aim?: number;
  lowerIsBetter?: boolean;
  note?: string;
}

const CHUNKS = 10_000;
const MEMORIES_A_CALL = 200;
const DIMENSION = 384;
/** With date, speaker and query about 128 tokens. */
const WORDS_A_TEXT = 104;
const ROUNDS = 5;
const QUERIES_A_ROUND = 60;
const AT_ONCE = 4;

export const title = "Whole query: gateway, indexer and reranker as three processes on the embedded PostgreSQL, asked over gRPC";
export const settings = [
  `a tenant of ${CHUNKS} memories of one chunk, ${WORDS_A_TEXT} words each, with vectors of ${DIMENSION} values; a query of 8 words is embedded, 24 candidates of about 128 tokens (at 4 in flight fewer where there is no time for all) are reranked by two workers, 10 come back`,
  `production's 250 ms for reranking; rounds of ${QUERIES_A_ROUND} queries, one caller; ${AT_ONCE} in flight: each its next query when it has its answer`,
];

const WORDS = "house walk garden river letter morning train bread window music water light paper table winter road stone green small great happy quiet early open long city door book tree hand friend summer bridge kitchen market school doctor island yellow silver engine coffee dinner island shadow mountain".split(" ");
const text = (words: number) => Array.from({ length: words }, () => WORDS[Math.floor(Math.random() * WORDS.length)]).join(" ");
const vector = () => encodeVector(Float32Array.from({ length: DIMENSION }, () => Math.random() - 0.5));

export async function run(): Promise<Figure[]> {
  const stack = await Stack.start();
  try {
    const gateway = await stack.startGateway({ MEMSEAL_RERANK_TIMEOUT_MS: "250", MEMSEAL_RATES_CREDENTIAL: "read=10000,write=10000,rerank=10000", MEMSEAL_RATES_TENANT: "read=10000,write=10000,rerank=10000" });
    const key = await stack.createKey("bench");
    await fill(gateway, key);
    return await measure(gateway, key);
  } finally {
    await stack.stop();
  }
}

async function fill(gateway: Gateway, key: string): Promise<void> {
  // The first is embedded here: its model is that of the queries.
  await add(gateway, key, [{ text: text(WORDS_A_TEXT) }]);
  const occurredAt = toTimestamp(new Date("2026-05-08T00:00:00Z"));
  for (let stored = 1; stored < CHUNKS; stored += MEMORIES_A_CALL) {
    await add(gateway, key, Array.from({ length: Math.min(MEMORIES_A_CALL, CHUNKS - stored) }, () => ({ text: text(WORDS_A_TEXT), role: "Ada", vector: vector(), occurredAt })));
  }
}

async function add(gateway: Gateway, key: string, memories: object[]): Promise<void> {
  const message = { memories: memories.map((memory) => ({ tags: [], metadata: undefined, occurredAt: undefined, ...memory })), messages: [] };
  const { code, body } = await gateway.ask("grpc", { method: "add", key, message });
  if (code !== "ok") throw new Error(`memories were not stored: ${code} ${JSON.stringify(body)}`);
}

interface Asked {
  ms: number;
  isReranked: boolean;
  /** Why not. */
  skipped: string | undefined;
  depth: number;
  latencyMs: Record<string, number>;
}

async function query(gateway: Gateway, key: string): Promise<Asked> {
  const startedAt = performance.now();
  const { code, body } = await gateway.ask("grpc", { method: "search", key, json: { query: text(8) } });
  if (code !== "ok" || body["dense"] !== true) throw new Error(`a query was not answered whole: ${code} ${String(body["dense_skipped"])}`);
  return { ms: performance.now() - startedAt, isReranked: body["reranked"] === true, skipped: body["rerank_skipped"] as string | undefined, depth: Number(body["rerank_depth"]), latencyMs: body["latency_ms"] as Record<string, number> };
}

async function measure(gateway: Gateway, key: string): Promise<Figure[]> {
  const [alone, many]: [Asked[][], Asked[][]] = [[], []];
  let manyMs = 0;
  for (let round = 0; round <= ROUNDS; round++) {
    const [one, four]: [Asked[], Asked[]] = [[], []];
    for (let i = 0; i < QUERIES_A_ROUND; i++) one.push(await query(gateway, key));
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: AT_ONCE }, async () => { for (let i = 0; i < QUERIES_A_ROUND / AT_ONCE; i++) four.push(await query(gateway, key)); }));
    // The first warms up.
    if (round === 0) continue;
    manyMs += performance.now() - startedAt;
    alone.push(one);
    many.push(four);
  }
  const share = (asked: readonly Asked[]) => asked.filter(({ isReranked }) => isReranked).length / asked.length;
  const stage = (name: string) => alone.map((round) => p95(round.map(({ latencyMs }) => latencyMs[name])));
  return [
    { what: "whole query p95, 1 in flight", values: alone.map((round) => p95(round.map(({ ms }) => ms))), unit: "ms", commit: 130, aim: 85, lowerIsBetter: true },
    ...["embed", "search", "rerank"].map((name) => ({ what: `of it ${name} p95`, values: stage(name), unit: "ms", lowerIsBetter: true })),
    { what: "reranked, 1 in flight", values: alone.map(share), unit: "of 1", commit: 1 },
    { what: `whole query p95, ${AT_ONCE} in flight`, values: many.map((round) => p95(round.map(({ ms }) => ms))), unit: "ms", lowerIsBetter: true },
    { what: `answered in time, ${AT_ONCE} in flight`, values: [1], unit: "of 1", commit: 1, note: "any other answer ends the bench" },
    { what: `reranked, ${AT_ONCE} in flight`, values: many.map(share), unit: "of 1", commit: 0.5, aim: 0.9, note: skipsOf(many.flat()) },
    { what: "of them, median of candidates scored", values: many.map(depthOf), unit: "of 24" },
    { what: `queries, ${AT_ONCE} in flight`, values: [(many.flat().length * 1_000) / manyMs], unit: "1/s" },
  ];
}

/** The middle of what reranked searches had scored. */
function depthOf(asked: readonly Asked[]): number {
  const depths = asked.filter(({ isReranked }) => isReranked).map(({ depth }) => depth).sort((a, b) => a - b);
  return depths[depths.length >> 1] ?? 0;
}

function skipsOf(asked: readonly Asked[]): string {
  const skips = asked.flatMap(({ skipped }) => skipped ?? []);
  const counts = [...new Set(skips)].sort().map((reason) => `${skips.filter((one) => one === reason).length} ${reason}`);
  return `skipped: ${counts.join(", ") || "none"} of ${asked.length}`;
}

const p95 = (values: readonly number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? NaN;
