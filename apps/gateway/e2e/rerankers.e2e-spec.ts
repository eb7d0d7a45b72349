import { freePort, type ServiceProcess } from "@memseal/transport/testing";
import type { Gateway } from "./gateway.js";
import { Stack } from "./stack.js";

/** Gives the name below two addresses. */
const NAMES = new URL("./several-addresses.fixture.mjs", import.meta.url).href;
const CALLS = 20;
const DOCUMENTS = ["The bike is in the garage.", "She is allergic to walnuts."];

interface OneOfTwo { address: string; metrics: string; process: ServiceProcess }

let stack: Stack;
let gateway: Gateway;
let key: string;
let rerankers: OneOfTwo[];

/** Of one address of the name each. */
async function startOne(address: string): Promise<OneOfTwo> {
  const metrics = `127.0.0.1:${await freePort()}`;
  return { address, metrics, process: await stack.startRerankerAt(address, { MEMSEAL_METRICS_ADDRESS: metrics }, "rerank") };
}

async function callsAt({ metrics }: OneOfTwo): Promise<number> {
  const shown = await (await fetch(`http://${metrics}/metrics`)).text();
  return Number(/^te_request_success\{service="rerank",method="batch",.*\} (\d+)$/m.exec(shown)?.[1] ?? NaN);
}

const rerank = () => gateway.ask("grpc", { method: "rerank", key, json: { query: "Which food must she avoid?", documents: DOCUMENTS } });
const codesOf = async (calls: number) => {
  const codes: string[] = [];
  for (let i = 0; i < calls; i++) codes.push((await rerank()).code);
  return codes;
};
const allOk = Array.from({ length: CALLS }, () => "ok");

beforeAll(async () => {
  stack = await Stack.start();
  const port = await freePort();
  rerankers = await Promise.all([`127.0.0.1:${port}`, `127.0.0.2:${port}`].map(startOne));
  gateway = await stack.startGateway({ MEMSEAL_RERANKER_ADDRESS: `rerankers.test:${port}`, MEMSEAL_ALLOW_PLAINTEXT: "true", NODE_OPTIONS: `--import=${NAMES}` });
  key = await stack.createKey("ada-7731", ["read"]);
});

afterAll(() => stack.stop());

describe("rerankers under one name", () => {
  it("each get their share of the calls of one gateway", async () => {
    expect(await codesOf(CALLS)).toEqual(allOk);
    const calls = await Promise.all(rerankers.map(callsAt));
    expect(calls[0] + calls[1]).toBe(CALLS);
    expect(Math.min(...calls)).toBeGreaterThanOrEqual(CALLS / 4);
  });

  it("may stop, one with the other there, without one failed call, and come back", async () => {
    const calls = codesOf(CALLS);
    await rerankers[0].process.kill("SIGTERM");
    expect(await calls).toEqual(allOk);
    expect(await codesOf(CALLS)).toEqual(allOk);
    rerankers[0] = await startOne(rerankers[0].address);
    for (let tries = 0; tries < 100 && (await callsAt(rerankers[0])) === 0; tries++) expect((await rerank()).code).toBe("ok");
    expect(await callsAt(rerankers[0])).toBeGreaterThan(0);
  });

  it("may be killed, one with the other there: what was under way there is lost at most", async () => {
    await rerankers[1].process.kill("SIGKILL");
    const codes = await codesOf(CALLS);
    expect(codes.filter((code) => code !== "ok").length).toBeLessThanOrEqual(1);
  });
});
