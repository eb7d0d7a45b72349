import { setTimeout as delay } from "node:timers/promises";
import { freePort, type ServiceProcess } from "@memseal/transport/testing";
import { storedTexts, type Answer, type Gateway } from "./gateway.js";
import { Stack } from "./stack.js";

// Each falls to one of the two indexers as by a coin: that one of these has none is 1 in 32,768.
const USERS = 16;

let stack: Stack;
let gateway: Gateway;
let indexers: { address: string; process: ServiceProcess }[];
let keys: string[];

beforeAll(async () => {
  stack = await Stack.start();
  // Not the stack's own one: these come and go.
  indexers = await Promise.all([0, 1].map(async () => {
    const address = `127.0.0.1:${await freePort()}`;
    return { address, process: await stack.startIndexer(address) };
  }));
  gateway = await stack.startGateway({ MEMSEAL_INDEXER_ADDRESS: indexers.map(({ address }) => address).join(",") });
  keys = await Promise.all(Array.from({ length: USERS }, (_v, i) => stack.createKey(`user ${i}`)));
});

afterAll(async () => {
  await stack.stop();
});

/** What was answered of one user's calls, and what was not. */
interface Load {
  acknowledged: string[];
  failures: Answer[];
  reads: number;
}

const memory = (text: string) => ({ text, run_id: "run", vector: [1, ...Array<number>(7).fill(0)] });

/** One user's reads and writes, one after the other, until told to stop. hasKeys: whether its writes are named, so that they may be repeated. */
async function load(key: string, name: string, stop: AbortSignal, { hasKeys }: { hasKeys: boolean }): Promise<Load> {
  const done: Load = { acknowledged: [], failures: [], reads: 0 };
  const record = (answer: Answer) => {
    if (answer.code !== "ok") done.failures.push(answer);
    return answer.code === "ok";
  };
  for (let i = 0; !stop.aborted && done.failures.length === 0; i++) {
    const text = `${name} ${i}`;
    const written = await gateway.ask("http", { method: "add", key, json: { memories: [memory(text)] }, headers: hasKeys ? { "idempotency-key": text.replaceAll(" ", "-") } : {} });
    if (record(written)) done.acknowledged.push(text);
    const { body, ...found } = await gateway.ask(i % 2 === 0 ? "http" : "grpc", { method: "search", key, json: { query: text, vector: [1, ...Array<number>(7).fill(0)], rerank: false } });
    record({ ...found, body });
    record(await gateway.ask("http", { method: "list", key, json: { limit: "1" } }));
    done.reads += 2;
  }
  return done;
}

/** How many calls of tenants it has answered. */
const answeredBy = ({ process }: { process: ServiceProcess }) => process.lines.filter((line) => /IndexerService\/(Put|Search|List)/.test(line)).length;

/** Runs `work` under the load of all users, which ends with it, whichever way it ends. */
async function underLoad(name: string, { hasKeys }: { hasKeys: boolean }, work: () => Promise<void>): Promise<Load[]> {
  const stop = new AbortController();
  const running = Promise.all(keys.map((key, i) => load(key, `${name} ${i}`, stop.signal, { hasKeys })));
  try {
    await work();
  } finally {
    stop.abort();
    await running;
  }
  return running;
}

async function untilItAnswers(indexer: { process: ServiceProcess }): Promise<void> {
  const before = answeredBy(indexer);
  for (let tries = 0; tries < 200 && answeredBy(indexer) === before; tries++) await delay(50);
  expect(answeredBy(indexer)).toBeGreaterThan(before);
}

async function expectAllThereOnce(loads: readonly Load[], prefix: string): Promise<void> {
  expect(loads.flatMap(({ failures }) => failures)).toEqual([]);
  const found = await Promise.all(keys.map(async (key) => (await storedTexts(gateway, key)).filter((text) => text.startsWith(prefix)).sort()));
  expect(found).toEqual(loads.map(({ acknowledged }) => [...acknowledged].sort()));
  for (const { acknowledged, reads } of loads) expect([acknowledged.length, reads].every((count) => count > 0)).toBe(true);
}

describe("two indexers on one database, under load", () => {
  it("one is killed -9: no read fails, no named write fails or is stored twice, and it has its users again when it is back", async () => {
    const loads = await underLoad("kill", { hasKeys: true }, async () => {
      for (const indexer of indexers) await untilItAnswers(indexer);
      await indexers[0].process.kill("SIGKILL");
      await untilItAnswers(indexers[1]);
      await delay(500);
      indexers[0].process = await stack.startIndexer(indexers[0].address);
      await untilItAnswers(indexers[0]);
    });
    await expectAllThereOnce(loads, "kill ");
    console.log(`killed: ${loads.reduce((sum, { reads }) => sum + reads, 0)} reads and ${loads.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)} writes, none lost`);
  });

  it("one is stopped: no call fails at all, named or not", async () => {
    const loads = await underLoad("drain", { hasKeys: false }, async () => {
      for (const indexer of indexers) await untilItAnswers(indexer);
      await indexers[1].process.kill("SIGTERM");
      expect(await indexers[1].process.exited).toBe(0);
      await untilItAnswers(indexers[0]);
    });
    await expectAllThereOnce(loads, "drain ");
    expect((await gateway.fetch("/readyz")).status).toBe(200);
    indexers[1].process = await stack.startIndexer(indexers[1].address);
    await underLoad("again", { hasKeys: false }, () => untilItAnswers(indexers[1]));
  });
});
