import { setTimeout as delay } from "node:timers/promises";
import { freePort, type ServiceProcess } from "@memseal/transport/testing";
import { RollingProxy } from "./rolling-proxy.js";
import { Stack } from "./stack.js";

/** What is promised, by `npm run soak:rolling`: two of everything and this load want two cores to themselves. Beside other suites a fifth of it. */
const REQUESTS_PER_S = process.env["MEMSEAL_SOAK_ROLLING"] === "1" ? 50 : 10;
/** Longer than HAProxy takes to see that a gateway is not ready: three checks, one a second, each answered late where two cores run all of this. */
const DRAIN_MS = 8_000;
/** How long a process is left to itself once it is ready, before the next one goes: `minReadySeconds` of Kubernetes. */
const SETTLED_MS = 2_000;
const USERS = 12;
/** Six starts, two drains and what each is left to itself for; a busy machine takes its time. */
const LONGEST_MS = 300_000;

const addressed = async (count: number) => Promise.all(Array.from({ length: count }, async () => `127.0.0.1:${await freePort()}`));

/** What was asked, and what became of it. */
interface Outcome {
  readonly kind: string;
  readonly ms: number;
  /** undefined for what is as it should be. */
  readonly fault: string | undefined;
}

/** So many requests a second, however long answers take, each sent once. */
class Load {
  readonly outcomes: Outcome[] = [];
  readonly #underWay = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;

  constructor(private readonly url: string, private readonly keys: readonly string[]) {
    const began = performance.now();
    let sent = 0;
    this.#timer = setInterval(() => {
      for (const due = ((performance.now() - began) / 1_000) * REQUESTS_PER_S; sent < due; sent++) {
        const asked = this.#ask(sent).finally(() => this.#underWay.delete(asked));
        this.#underWay.add(asked);
      }
    }, 20);
  }

  async stop(): Promise<readonly Outcome[]> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    return this.outcomes;
  }

  /** Of twenty: a write, a stream and a reranked search, which need models; nine searches by words and eight listings, which do not. */
  async #ask(n: number): Promise<void> {
    const search = (more: object = {}) => ({ path: "/v1/memories/search", body: { query: `Who keeps bees near lake ${n}?`, ...more } });
    const memories = [{ text: `Note ${n}: the bees fly to lake ${n}.`, run_id: "load" }];
    const requests: Record<string, { path: string; body?: object }> = {
      write: { path: "/v1/memories", body: { memories } },
      stream: { path: "/v1/memories/search/stream", body: search().body },
      reranked: search(),
      list: { path: "/v1/memories?limit=2" },
      search: search({ mode: "lexical", rerank: false }),
    };
    const kind = ["write", "stream", "reranked"][n % 20] ?? (n % 2 === 0 ? "list" : "search");
    const { path, body } = requests[kind];
    const startedMs = performance.now();
    const fault = await this.#send(path, body, this.keys[n % this.keys.length], kind === "stream").catch((error: unknown) => String((error as Error).cause ?? error));
    this.outcomes.push({ kind, ms: performance.now() - startedMs, fault });
  }

  async #send(path: string, body: object | undefined, key: string, isStream: boolean): Promise<string | undefined> {
    const response = await fetch(`${this.url}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${key}`, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const answer = await response.text();
    if (!response.ok) return `${response.status} ${answer.slice(0, 200)}`;
    return isStream && !answer.includes("event: done\n") ? `a stream without its end: ${answer.slice(-200)}` : undefined;
  }
}

/** Runs `work` under the load and says what the load met. */
async function underLoad(name: string, work: () => Promise<void>): Promise<readonly Outcome[]> {
  const load = new Load(`http://${proxy.http}`, keys);
  const startedMs = performance.now();
  let outcomes: readonly Outcome[];
  try {
    await work();
  } finally {
    outcomes = await load.stop();
  }
  const sorted = outcomes.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number) => `${sorted[Math.floor((sorted.length - 1) * share)].toFixed(0)} ms`;
  const failed = outcomes.filter(({ fault }) => fault !== undefined).length;
  console.log(`${name}: ${outcomes.length} requests in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s, ${failed} failed; median ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`);
  return outcomes;
}

function expectNoneFailed(outcomes: readonly Outcome[]): void {
  expect(outcomes.filter(({ fault }) => fault !== undefined)).toEqual([]);
  expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(["write", "stream", "reranked", "list", "search"]));
  expect(outcomes.length).toBeGreaterThan(REQUESTS_PER_S);
}

let stack: Stack;
let proxy: RollingProxy;
let keys: string[];
let gateways: { env: Record<string, string>; process: ServiceProcess }[];
let indexers: { address: string; process: ServiceProcess }[];
let rerankers: { address: string; process: ServiceProcess }[];

describe("two of each service", () => {
  beforeAll(async () => {
    // A few candidates each: two cores are enough for all of them and the load.
    stack = await Stack.start({ gateway: { MEMSEAL_RERANK_DEPTH: "2", MEMSEAL_DRAIN_MS: String(DRAIN_MS) }, reranker: { MEMSEAL_RERANK_WORKERS: "1" } });
    const [http, grpc, atIndexers, atRerankers] = await Promise.all([addressed(2), addressed(2), addressed(2), addressed(2)]);
    [indexers, rerankers] = await Promise.all([
      Promise.all(atIndexers.map(async (address) => ({ address, process: await stack.startIndexer(address) }))),
      Promise.all(atRerankers.map(async (address) => ({ address, process: await stack.startRerankerAt(address) }))),
    ]);
    proxy = await RollingProxy.start({ gateways: http.map((address, i) => ({ http: address, grpc: grpc[i] })), rerankers: atRerankers });
    gateways = await Promise.all(http.map(async (address, i) => {
      const env = { MEMSEAL_HTTP_ADDRESS: address, MEMSEAL_GRPC_ADDRESS: grpc[i], MEMSEAL_INDEXER_ADDRESS: atIndexers.join(","), MEMSEAL_RERANKER_ADDRESS: proxy.reranker };
      return { env, process: (await stack.startGateway(env)).process };
    }));
    await proxy.untilUp(2);
    keys = await Promise.all(Array.from({ length: USERS }, (_v, i) => stack.createKey(`user ${i}`)));
    const memories = ["The bees live by the lake.", "Nobody swims in winter.", "The boat is painted green."].map((text) => ({ text }));
    for (const key of keys) {
      const { status } = await fetch(`http://${proxy.http}/v1/memories`, { method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: JSON.stringify({ memories }) });
      expect(status).toBe(201);
    }
  }, LONGEST_MS);

  afterAll(async () => {
    await proxy.stop();
    await stack.stop();
  }, LONGEST_MS);

  it(`gateways are restarted one after the other under ${REQUESTS_PER_S} requests a second: none fails`, async () => {
    expectNoneFailed(await underLoad("gateways", async () => {
      await delay(1_000);
      for (const gateway of gateways) {
        await gateway.process.kill("SIGTERM");
        expect(await gateway.process.exited).toBe(0);
        gateway.process = (await stack.startGateway(gateway.env)).process;
        await proxy.untilUp(2);
        await delay(SETTLED_MS);
      }
    }));
  }, LONGEST_MS);

  it(`indexers are restarted one after the other under ${REQUESTS_PER_S} requests a second: none fails`, async () => {
    expectNoneFailed(await underLoad("indexers", async () => {
      for (const indexer of indexers) {
        await delay(SETTLED_MS);
        await indexer.process.kill("SIGTERM");
        expect(await indexer.process.exited).toBe(0);
        indexer.process = await stack.startIndexer(indexer.address);
      }
      await delay(SETTLED_MS);
    }));
  }, LONGEST_MS);

  it(`rerankers are restarted one after the other under ${REQUESTS_PER_S} requests a second: none fails`, async () => {
    expectNoneFailed(await underLoad("rerankers", async () => {
      for (const reranker of rerankers) {
        await delay(SETTLED_MS);
        await reranker.process.kill("SIGTERM");
        expect(await reranker.process.exited).toBe(0);
        reranker.process = await stack.startRerankerAt(reranker.address);
      }
      await delay(SETTLED_MS);
    }));
  }, LONGEST_MS);
});
