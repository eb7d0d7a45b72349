import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { Device, Provider, TokenSequence } from "@memseal/inference";
import { freePort, startProcess, type ServiceProcess } from "@memseal/transport/testing";
import { p95, PAIRS, RerankLoad, timeMs, TOKENS } from "../src/rerank-load.js";

interface Figure {
  what: string;
  values: number[];
  unit: string;
  commit?: number;
  aim?: number;
  lowerIsBetter?: boolean;
  note?: string;
}

const MAIN = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const DIRECT = new URL("./direct-session.bench.mjs", import.meta.url);
const WORKERS = 2;
const ROUNDS = 7;
const CALLS_A_ROUND = 30;
const CALLERS = [1, 4, 16, 64];
const LOAD_MS = 4_000;
const OVERLOAD = 10;
/** As a gateway gives a search. */
const SEARCH_MS = 250;

export const title = "Reranker: one process over gRPC, tokenizer and batcher included, beside the same graph called directly";
export const devices = ["auto", "cuda", "cpu"];
export const settings = [
  `a call has ${PAIRS} pairs of ${TOKENS} tokens and is one search's; ${WORKERS} workers on a CPU`,
  `directly: the same pairs as tokens, split over as many threads with a session each, one pair a run on a CPU; rounds of both in turn, ${CALLS_A_ROUND} calls each`,
  `throughput: so many callers, each its next call when it has its answer, ${LOAD_MS / 1_000} s; ${OVERLOAD} times: calls offered at ${OVERLOAD} times what ${CALLERS[1]} callers get done, each with the ${SEARCH_MS} ms of a search`,
];

export async function run(device: Device): Promise<Figure[]> {
  const service = await Service.start(device);
  const { load } = service;
  const direct = await Direct.start(load.provider, load.pairs);
  try {
    const on = `${load.model} on ${load.provider}`;
    const [over, alone] = await latencies(load, direct);
    const figures: Figure[] = [
      { what: `rerank ${PAIRS} x ${TOKENS} tokens p95, ${on}`, values: over, unit: "ms", lowerIsBetter: true, ...(load.provider === "cpu" ? { commit: 80, aim: 55 } : { aim: 6 }) },
      { what: "the same graph called directly p95", values: alone, unit: "ms", lowerIsBetter: true },
      { what: "one over the other, round by round", values: over.map((ms, i) => ms / alone[i]), unit: "x", commit: 1.3, aim: 1.1, lowerIsBetter: true },
    ];
    const most = await direct.throughput();
    figures.push({ what: "throughput, directly", values: [most], unit: "pairs/s" });
    let offered = NaN;
    for (const callers of CALLERS) {
      const { perSecond, refused } = await load.throughput(callers, LOAD_MS);
      if (callers === CALLERS[1]) offered = (perSecond / PAIRS) * OVERLOAD;
      figures.push({ what: `throughput, ${callers} callers`, values: [perSecond], unit: "pairs/s", note: `${Math.round((100 * perSecond) / most)}% of directly; ${refused} calls refused` });
    }
    return [...figures, ...(await overload(load, offered, most))];
  } finally {
    await direct.stop();
    await service.stop();
  }
}

/** p95 of a round each, of the service and of the sessions alone. */
async function latencies(load: RerankLoad, direct: Direct): Promise<[number[], number[]]> {
  const [over, alone]: [number[], number[]] = [[], []];
  for (let round = 0; round <= ROUNDS; round++) {
    const times = { over: [] as number[], alone: [] as number[] };
    for (let i = 0; i < CALLS_A_ROUND; i++) {
      times.over.push(await timeMs(() => load.rerank("one", 30_000)));
      times.alone.push(await timeMs(() => direct.score()));
    }
    // The first warms up.
    if (round === 0) continue;
    over.push(p95(times.over));
    alone.push(p95(times.alone));
  }
  return [over, alone];
}

/** callsPerSecond: offered, whatever becomes of them. most: pairs a second of the sessions alone. */
async function overload(load: RerankLoad, callsPerSecond: number, most: number): Promise<Figure[]> {
  const answers: Promise<{ code: string; ms: number }>[] = [];
  const startedAt = performance.now();
  while (performance.now() - startedAt < LOAD_MS) {
    const due = Math.floor(((performance.now() - startedAt) / 1_000) * callsPerSecond);
    while (answers.length < due) answers.push(timedCode(load, `caller ${answers.length % 64}`));
    await delay(2);
  }
  const all = await Promise.all(answers);
  const seconds = (performance.now() - startedAt) / 1_000;
  const ended = (code: string) => all.filter((one) => one.code === code).map(({ ms }) => ms);
  const [done, refused, late] = [ended("ok"), ended("resource_exhausted"), ended("deadline_exceeded")];
  if (done.length + refused.length + late.length !== all.length) throw new Error(`answers of other kinds: ${[...new Set(all.map(({ code }) => code))].join(", ")}`);
  const goodput = (done.length * PAIRS) / seconds;
  const note = `${all.length} calls: ${done.length} answered, ${refused.length} refused, ${late.length} too late`;
  return [
    { what: `at ${OVERLOAD} times: answered over directly`, values: [goodput / most], unit: "x", note },
    { what: `at ${OVERLOAD} times: answered or refused, not too late`, values: [(done.length + refused.length) / all.length], unit: "of 1", commit: 0.9, aim: 0.99 },
    { what: `at ${OVERLOAD} times: refused within, p95`, values: [p95(refused)], unit: "ms", commit: 50, aim: 10, lowerIsBetter: true },
  ];
}

async function timedCode(load: RerankLoad, caller: string): Promise<{ code: string; ms: number }> {
  const startedAt = performance.now();
  const code = await load.codeOf(caller, SEARCH_MS);
  return { code, ms: performance.now() - startedAt };
}

/** A running reranker, as the gateway calls it. */
class Service {
  private constructor(private readonly process: ServiceProcess, readonly load: RerankLoad) {}

  static async start(device: Device): Promise<Service> {
    const [grpc, metrics] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const process = await startProcess(MAIN, { MEMSEAL_RERANKER_ADDRESS: grpc, MEMSEAL_METRICS_ADDRESS: metrics, MEMSEAL_DEVICE: device, MEMSEAL_RERANK_WORKERS: String(WORKERS) }, { args: ["--serve", "rerank"] });
    return new Service(process, await RerankLoad.connect({ grpc, metrics }));
  }

  async stop(): Promise<void> {
    this.load.close();
    await this.process.kill("SIGTERM");
  }
}

/** Threads with a session each, and nothing before them. */
class Direct {
  private constructor(private readonly threads: readonly Worker[], private readonly parts: readonly TokenSequence[][]) {}

  static async start(provider: Provider, pairs: readonly TokenSequence[]): Promise<Direct> {
    const count = provider === "cpu" ? WORKERS : 1;
    // As built, like the service: a thread has none of the loaders of its bench.
    const threads = Array.from({ length: count }, () => new Worker(DIRECT, { workerData: { device: provider }, execArgv: [] }));
    await Promise.all(threads.map((thread) => once(thread, "message")));
    return new Direct(threads, threads.map((_, n) => pairs.filter((_pair, i) => i % count === n)));
  }

  /** The pairs of one call. */
  async score(): Promise<void> {
    await Promise.all(this.threads.map(async (thread, n) => {
      thread.postMessage(this.parts[n]);
      await once(thread, "message");
    }));
  }

  /** Pairs a second. */
  async throughput(): Promise<number> {
    const startedAt = performance.now();
    let calls = 0;
    while (performance.now() - startedAt < LOAD_MS) {
      await this.score();
      calls++;
    }
    return (calls * PAIRS * 1_000) / (performance.now() - startedAt);
  }

  async stop(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.terminate()));
  }
}
