import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort, startProcess, type ServiceProcess } from "@memseal/transport/testing";
import { TRANSPORTS, type Gateway, type Json } from "./gateway.js";
import { Stack } from "./stack.js";

const PROXY = fileURLToPath(new URL("./fixtures/fault-proxy.mjs", import.meta.url));
const QUERY = "Where was the moth?";
const MEMORIES = ["The moth was found in relay 70.", "The compiler was written in 1952.", "COBOL came later.", "A nanosecond is 30 cm long."];
/** What a search may take; its caller says so. */
const DEADLINE_MS = 2_000;
/** As in production. */
const PRODUCTION = { MEMSEAL_RERANK_TIMEOUT_MS: "250", MEMSEAL_RATES_CREDENTIAL: "read=10000,rerank=10000", MEMSEAL_RATES_TENANT: "read=10000,rerank=10000" };

interface Found { id: string; score: number }
interface Searched { code: string; body: Json; tookMs: number; found: Found[] }

let stack: Stack;
let gateway: Gateway;
let key: string;

beforeAll(async () => {
  stack = await Stack.start();
  gateway = await stack.startGateway(PRODUCTION);
  key = await stack.createKey("grace");
  expect((await gateway.ask("http", { method: "add", key, json: { memories: MEMORIES.map((text) => ({ text })) } })).code).toBe("ok");
});

afterAll(() => stack.stop());

async function search(at: Gateway, i: number, { timeoutMs = DEADLINE_MS, rerank = true, user = key } = {}): Promise<Searched> {
  const startedAt = performance.now();
  const headers = { "request-timeout-ms": String(timeoutMs) };
  const { code, body } = await at.ask(TRANSPORTS[i % 2], { method: "search", key: user, headers, json: { query: QUERY, rerank } });
  const results = (body["results"] ?? []) as { memory: { id: string }; score: number }[];
  return { code, body, tookMs: performance.now() - startedAt, found: results.map(({ memory, score }) => ({ id: memory.id, score })) };
}

/** So many searches, four at a time, over both transports. */
async function searches(at: Gateway, count: number, options: Parameters<typeof search>[2] = {}): Promise<Searched[]> {
  const all: Searched[] = [];
  const numbers = Array.from({ length: count }, (_, i) => i).values();
  await Promise.all(Array.from({ length: 4 }, async () => {
    for (const i of numbers) all.push(await search(at, i, options));
  }));
  return all;
}

/** Each is an answer in its time, in the order that needs no reranker or in the reranker's, and says which and why. */
function expectAnswered(all: readonly Searched[], fused: readonly Found[], reasons: readonly string[], timeoutMs = DEADLINE_MS): void {
  for (const { code, body, tookMs, found } of all) {
    expect({ code, total: body["total_matching"] }).toEqual({ code: "ok", total: MEMORIES.length });
    expect(tookMs).toBeLessThan(timeoutMs);
    for (const { score } of found) expect(Number.isFinite(score)).toBe(true);
    if (body["reranked"] === true) {
      expect(body).not.toHaveProperty("rerank_skipped");
      continue;
    }
    expect(reasons).toContain(body["rerank_skipped"]);
    // By words alone the fused order is another one.
    if (body["dense"] === true) expect(found).toEqual(fused);
  }
}

const reasonsOf = (all: readonly Searched[]) => [...new Set(all.map(({ body }) => body["rerank_skipped"]))].sort();
const fusedOrder = async (at: Gateway) => (await search(at, 0, { rerank: false })).found;

/** By itself: nothing is restarted and nothing is asked but searches. */
async function expectRecovery(at: Gateway, withinMs = 10_000): Promise<void> {
  const until = Date.now() + withinMs;
  let last = await search(at, 0);
  while (Date.now() < until && !(last.body["reranked"] === true && last.body["dense"] === true)) {
    await delay(100);
    last = await search(at, 0);
  }
  expect(last).toMatchObject({ code: "ok", body: { reranked: true, dense: true } });
  const after = await searches(at, 12);
  expect(after.map(({ body }) => body["reranked"])).toEqual(Array(12).fill(true));
}

const stateOf = async (at: Gateway, breaker: string) => /memseal_breaker_state{breaker="(?<name>\w+)",state="(?<state>\w+)",track="stable"} 1/.exec(
  (await (await at.fetch("/metrics")).text()).split("\n").filter((line) => line.includes(`breaker="${breaker}"`) && line.endsWith(" 1")).join("\n"),
)?.groups?.["state"];

describe("a reranker that is stopped", () => {
  it("costs no search its answer, and is used again when it is back", async () => {
    const fused = await fusedOrder(gateway);
    await stack.killReranker();
    const all = await searches(gateway, 60);
    expectAnswered(all, fused, ["error", "open"]);
    expect(reasonsOf(all)).toEqual(["error", "open"]);
    expect(await stateOf(gateway, "rerank")).not.toBe("closed");
    await stack.startReranker();
    await expectRecovery(gateway);
    expect(await stateOf(gateway, "rerank")).toBe("closed");
  });
});

describe("a reranker that hangs", () => {
  it("costs no search its answer, and is used again when it goes on", async () => {
    const fused = await fusedOrder(gateway);
    await stack.whileRerankerStands(async () => {
      const all = await searches(gateway, 60);
      expectAnswered(all, fused, ["timeout", "open"]);
      expect(reasonsOf(all)).toEqual(["open", "timeout"]);
    });
    await expectRecovery(gateway);
  });

  it("costs no answer to callers in a hurry either, and is not blamed for their haste", async () => {
    const fresh = await stack.startGateway(PRODUCTION);
    await expectRecovery(fresh);
    const fused = await fusedOrder(fresh);
    await stack.whileRerankerStands(async () => {
      const timeoutMs = 400;
      const all = await searches(fresh, 20, { timeoutMs });
      expectAnswered(all, fused, ["timeout"], timeoutMs);
      expect([await stateOf(fresh, "rerank"), await stateOf(fresh, "embed")]).toEqual(["closed", "closed"]);
    });
    await expectRecovery(fresh);
    await fresh.stop();
  });
});

describe("a reranker behind faults", () => {
  let proxy: ServiceProcess;
  let faulty: Gateway;
  let file: string;
  let address: string;
  const fault = (name: string) => { writeFileSync(file, name); };

  beforeAll(async () => {
    file = join(stack.database.dir, "fault");
    fault("none");
    address = `127.0.0.1:${await freePort()}`;
    proxy = await startProcess(PROXY, { FAULT_FILE: file, LISTEN: address, UPSTREAM: stack.addresses.reranker });
  });
  afterAll(() => proxy.kill("SIGTERM"));
  beforeEach(async () => {
    fault("none");
    // One that has met no fault yet.
    faulty = await stack.startGateway({ ...PRODUCTION, MEMSEAL_RERANKER_ADDRESS: address, MEMSEAL_EMBEDDER_ADDRESS: stack.addresses.reranker });
  });
  afterEach(() => faulty.stop());

  it.each([
    ["is slowed to a second", "slow", ["open", "timeout"]],
    ["answers NaN", "nan", ["error", "open"]],
    ["answers an infinity", "infinite", ["error", "open"]],
    ["answers a score too few", "fewer", ["error", "open"]],
    ["answers a score too many", "more", ["error", "open"]],
  ])("that %s costs no search its answer, no bad score is in one, and it is used again when it is well", async (_what, name, reasons) => {
    await expectRecovery(faulty);
    const fused = await fusedOrder(faulty);
    fault(name);
    const all = await searches(faulty, 60);
    expectAnswered(all, fused, reasons);
    expect(all.some(({ body }) => body["reranked"])).toBe(false);
    expect(reasonsOf(all)).toEqual(reasons);
    expect(all.every(({ body }) => body["dense"])).toBe(true);
    fault("none");
    await expectRecovery(faulty);
  });
});

describe("a reranker that is asked for ten times what it can do", () => {
  it("costs no search its answer: what does not fit is refused at once and said so, no breaker opens, and one caller's flood is not another's loss", async () => {
    const fused = await fusedOrder(gateway);
    const documents = Array.from({ length: 48 }, (_, i) => `${MEMORIES[i % 4]} `.repeat(8));
    const flooders = await Promise.all(Array.from({ length: 6 }, (_, i) => stack.createKey(`flooder-${i}`)));
    const rerank = async (user: string) => {
      const startedAt = performance.now();
      const { code } = await gateway.ask("grpc", { method: "rerank", key: user, json: { query: QUERY, documents }, headers: { "request-timeout-ms": "900" } });
      return { code, tookMs: performance.now() - startedAt };
    };
    // What it can do: one after the other, from one caller at a time.
    await rerank(flooders[0]);
    const startedAt = performance.now();
    for (let i = 0; i < 8; i++) expect((await rerank(flooders[0])).code).toBe("ok");
    const callMs = (performance.now() - startedAt) / 8;

    const answers: Promise<{ code: string; tookMs: number }>[] = [];
    let isOver = false;
    const flood = (async () => {
      for (let n = 0; !isOver; n++) {
        answers.push(rerank(flooders[n % 6]));
        await delay(callMs / 10);
      }
    })();
    await delay(500);
    const all = await searches(gateway, 60);
    isOver = true;
    await flood;

    expectAnswered(all, fused, ["overloaded", "timeout"]);
    const asked = await Promise.all(answers);
    const codes = new Set(asked.map(({ code }) => code));
    expect([...codes].filter((code) => !["ok", "resource_exhausted", "deadline_exceeded"].includes(code))).toEqual([]);
    const refused = asked.filter(({ code }) => code === "resource_exhausted").map(({ tookMs }) => tookMs).sort((a, b) => a - b);
    expect(refused.length).toBeGreaterThan(asked.length / 2);
    // At once, not when its time is up: on an idle machine this is some milliseconds.
    expect(refused[refused.length >> 1]).toBeLessThan(450);
    expect(asked.some(({ code }) => code === "ok")).toBe(true);
    await expectRecovery(gateway);
  });
});

describe("a reranker that is asked by more at once than it has time for", () => {
  const depth = 24;
  const texts = Array.from({ length: depth }, (_, i) => `Note ${i}: ${MEMORIES[i % 4]} `.repeat(8));
  let user: string;
  let hurried: Gateway;

  interface Scored { reranked: boolean; saysDepth: number; skipped: string | undefined; order: string[]; logits: (number | undefined)[] }

  const searched = async (at: Gateway, i: number): Promise<Scored> => {
    const { code, body } = await at.ask(TRANSPORTS[i % 2], { method: "search", key: user, json: { query: QUERY, top_k: depth, explain: true } });
    expect({ code, dense: body["dense"] }).toEqual({ code: "ok", dense: true });
    const results = body["results"] as { memory: { id: string }; scores: { rerank?: number } }[];
    return {
      reranked: body["reranked"] as boolean,
      saysDepth: body["rerank_depth"] as number,
      skipped: body["rerank_skipped"] as string | undefined,
      order: results.map(({ memory }) => memory.id),
      logits: results.map(({ scores }) => scores.rerank),
    };
  };

  beforeAll(async () => {
    user = await stack.createKey("ada-shortened");
    expect((await gateway.ask("http", { method: "add", key: user, json: { memories: texts.map((text) => ({ text })) } })).code).toBe("ok");
    hurried = await stack.startGateway({ ...PRODUCTION, MEMSEAL_RERANK_TIMEOUT_MS: "400", MEMSEAL_RERANK_MIN_DEPTH: "2" });
  });
  afterAll(() => hurried.stop());

  it("scores the first of what each found, says how many, gives them the scores they have alone, and leaves the others behind in fused order", async () => {
    const patient = await stack.startGateway();
    const alone = await searched(patient, 0);
    expect(alone).toMatchObject({ reranked: true, saysDepth: depth });
    const logitOf = new Map(alone.order.map((id, i) => [id, alone.logits[i]]));
    const { body } = await patient.ask("http", { method: "search", key: user, json: { query: QUERY, top_k: depth, rerank: false } });
    const fused = (body["results"] as { memory: { id: string } }[]).map(({ memory }) => memory.id);

    const all: Scored[] = [];
    const isEnough = () => all.filter(({ saysDepth }) => saysDepth > 0 && saysDepth < depth).length >= 10;
    for (let round = 0; round < 20 && !isEnough(); round++) all.push(...(await Promise.all(Array.from({ length: 12 }, (_, i) => searched(hurried, i)))));

    for (const { reranked, saysDepth, skipped, order, logits } of all) {
      if (!reranked) {
        expect(skipped).toMatch(/^(overloaded|timeout)$/);
        expect({ saysDepth, order }).toEqual({ saysDepth: 0, order: fused });
        continue;
      }
      expect(saysDepth).toBeGreaterThanOrEqual(2);
      expect([...order.slice(0, saysDepth)].sort()).toEqual(fused.slice(0, saysDepth).sort());
      expect(order.slice(saysDepth)).toEqual(fused.slice(saysDepth));
      expect(logits).toEqual(order.map((id, i) => (i < saysDepth ? logitOf.get(id) : undefined)));
    }
    const shortened = all.filter(({ saysDepth }) => saysDepth > 0 && saysDepth < depth).length;
    expect(shortened).toBeGreaterThanOrEqual(10);
    expect(await (await hurried.fetch("/metrics")).text()).toContain(`memseal_rerank_shortened_total{track="stable"} ${shortened}\n`);
    await patient.stop();
  });

  it("scores all of a caller's own documents, or none", async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => hurried.ask(TRANSPORTS[i % 2], { method: "rerank", key: user, json: { query: QUERY, documents: texts }, headers: { "request-timeout-ms": "400" } })));
    for (const { code, body } of answers) {
      if (code === "ok") expect(body["results"]).toHaveLength(depth);
      else expect(["resource_exhausted", "deadline_exceeded"]).toContain(code);
    }
  });
});

describe("what happened", () => {
  it("was counted by its reason, and no process fell over", async () => {
    const metrics = await (await gateway.fetch("/metrics")).text();
    for (const reason of ["error", "timeout", "open"]) expect(metrics).toMatch(new RegExp(`memseal_rerank_skipped_total{reason="${reason}",track="stable"} [1-9]`));
    expect(metrics).toMatch(/memseal_reranked_total{track="stable"} [1-9]/);
    expect(await stateOf(gateway, "rerank")).toBe("closed");
    expect(stack.output).not.toMatch(/"event":"(model worker lost|cannot start|stop failed)"/);
  });
});
