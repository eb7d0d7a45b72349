import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { GUARDRAILS, partsOf, type GuardrailId } from "@memseal/guardrails";
import { runToExit } from "@memseal/transport/testing";
import { Installation } from "../src/demo/installation.js";
import { Services, type RunningApp } from "./services.js";

/** Longer than a fault takes to see its file. */
const BEGIN_MS = 400;

let installation: Installation;
let services: Services;
let indexer: RunningApp;
let stable: RunningApp;
let ann: string;
let bob: string;

beforeAll(async () => {
  installation = await Installation.start();
  services = new Services(installation);
  indexer = await services.startIndexer();
  stable = await services.startGateway(indexer);
  [ann, bob] = [await installation.createKey("ann"), await installation.createKey("bob")];
  expect((await post(stable, ann, "", { memories: [{ text: "Ann keeps walnuts in the cellar", vector: [1, 0] }] })).status).toBe(201);
  expect((await post(stable, bob, "", { memories: [{ text: "Bob sells walnuts on Sundays", vector: [1, 0] }] })).status).toBe(201);
});

afterAll(async () => {
  await services.stop();
  await installation.stop();
});

interface Answer {
  readonly status: number;
  readonly body: { readonly results?: readonly { readonly memory: { readonly text: string } }[]; readonly integrity_failures?: number; readonly code?: string };
  readonly ms: number;
}

async function post(gateway: RunningApp, key: string, path: string, body: object): Promise<Answer> {
  const since = performance.now();
  const answer = await fetch(`http://${gateway.address}/v1/memories${path}`, {
    method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Answer["body"], ms: performance.now() - since };
}

const search = (gateway: RunningApp, key = ann): Promise<Answer> => post(gateway, key, "/search", { query: "walnuts", vector: [1, 0], rerank: false });

async function searches(gateway: RunningApp, count: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let i = 0; i < count; i++) answers.push(await search(gateway));
  return answers;
}

/** Trials and breaches of a guardrail, as a scrape of the process shows them. */
async function counted({ metrics }: RunningApp, id: GuardrailId): Promise<{ trials: number; breaches: number }> {
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  const samples = [...text.matchAll(/^(\w+)\{(.*)\} (\S+)$/gm)].map(([, metric, labels, value]) => ({
    metric, value: Number(value), labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, of]) => [name, of])),
  }));
  const sums = { trials: 0, breaches: 0 };
  for (const { selector, ...part } of partsOf(GUARDRAILS.find((guardrail) => guardrail.id === id)!)) {
    const series = samples.filter(({ metric, labels }) => metric === selector.metric && labels["track"] === "canary" &&
      Object.entries(selector.labels ?? {}).every(([label, values]) => values.includes(labels[label])));
    expect(series.length).toBeGreaterThan(0);
    for (const { value } of series) {
      sums.trials += part.trials * value;
      sums.breaches += part.breaches * value;
    }
  }
  return sums;
}

/** Variables of a candidate with a fault, and what begins it. */
function candidate(fault: string): { change: { fault: string; env: Record<string, string> }; begin: () => Promise<void> } {
  const path = join(installation.dir, `${fault}.begins`);
  return {
    change: { fault, env: { MEMSEAL_TRACK: "canary", MEMSEAL_FAULT_FILE: path } },
    begin: async () => {
      writeFileSync(path, "");
      await delay(BEGIN_MS);
    },
  };
}

describe("a candidate with a rehearsed fault", () => {
  it("fails three searches in ten: errors", async () => {
    const { change, begin } = candidate("errors");
    const gateway = await services.startGateway(indexer, change);
    expect((await searches(gateway, 30)).map(({ status }) => status)).toEqual(Array(30).fill(200));
    expect(await counted(gateway, "errors")).toEqual({ trials: 30, breaches: 0 });
    await begin();
    const failed = (await searches(gateway, 100)).filter(({ status }) => status !== 200);
    expect(failed.every(({ status, body }) => status === 500 && body.code === "internal")).toBe(true);
    expect(failed.length).toBeGreaterThanOrEqual(29);
    expect(failed.length).toBeLessThanOrEqual(31);
    expect(await counted(gateway, "errors")).toEqual({ trials: 130, breaches: failed.length });
    expect((await search(stable)).status).toBe(200);
  });

  it("takes 400 ms more for each search: slow", async () => {
    const { change, begin } = candidate("slow");
    const gateway = await services.startGateway(indexer, change);
    await searches(gateway, 20);
    const before = await counted(gateway, "query_latency");
    // A shared machine may be slow for a moment.
    expect(before.breaches).toBeLessThanOrEqual(2);
    await begin();
    const answers = await searches(gateway, 10);
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(Math.min(...answers.map(({ ms }) => ms))).toBeGreaterThanOrEqual(400);
    expect(await counted(gateway, "query_latency")).toEqual({ trials: before.trials + 10, breaches: before.breaches + 10 });
  });

  it("is given one row of another tenant, which no caller sees: cross-tenant", async () => {
    const { change, begin } = candidate("cross-tenant");
    const faulty = await services.startIndexer(change);
    const gateway = await services.startGateway(faulty);
    const texts = async (): Promise<string[]> => (await Promise.all([search(gateway, ann), search(gateway, bob)])).flatMap(({ body }) => body.results?.map(({ memory }) => memory.text) ?? []);
    expect(await texts()).toEqual(["Ann keeps walnuts in the cellar", "Bob sells walnuts on Sundays"]);
    expect((await counted(faulty, "cross_tenant_reached")).breaches).toBe(0);
    await begin();
    const answer = await search(gateway, ann);
    expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 500, code: "internal" });
    expect(JSON.stringify(answer.body)).not.toContain("Bob");
    expect((await counted(faulty, "cross_tenant_reached")).breaches).toBe(1);
    // Once: whoever asks next has what is theirs, and the database was left as it was.
    expect(await texts()).toEqual(["Ann keeps walnuts in the cellar", "Bob sells walnuts on Sundays"]);
    expect((await counted(faulty, "cross_tenant_reached")).breaches).toBe(1);
  });

  it("opens no row that the stable release opens: decrypt", async () => {
    const { change, begin } = candidate("decrypt");
    const faulty = await services.startIndexer(change);
    const gateway = await services.startGateway(faulty);
    expect((await search(gateway)).body).toMatchObject({ results: [{ memory: { text: "Ann keeps walnuts in the cellar" } }], integrity_failures: 0 });
    expect((await counted(faulty, "integrity_failures")).breaches).toBe(0);
    await begin();
    expect(await search(gateway)).toMatchObject({ status: 200, body: { results: [], integrity_failures: 1 } });
    // Audited after the answer.
    for (let tries = 0; tries < 50 && (await counted(faulty, "integrity_failures")).breaches === 0; tries++) await delay(100);
    expect((await counted(faulty, "integrity_failures")).breaches).toBe(1);
    expect((await search(stable)).body).toMatchObject({ results: [{ memory: { text: "Ann keeps walnuts in the cellar" } }], integrity_failures: 0 });
  });

  it("works and answers no scrape: silent-metrics", async () => {
    const { change, begin } = candidate("silent-metrics");
    const gateway = await services.startGateway(indexer, change);
    expect((await counted(gateway, "errors")).breaches).toBe(0);
    await begin();
    await expect(fetch(`http://${gateway.metrics}/metrics`, { signal: AbortSignal.timeout(1_000) })).rejects.toMatchObject({ name: "TimeoutError" });
    expect((await search(gateway)).status).toBe(200);
    expect((await fetch(`http://${gateway.address}/readyz`)).status).toBe(200);
  });

  it("has its fault from the start where no file is named", async () => {
    const gateway = await services.startGateway(indexer, { fault: "slow" });
    expect((await search(gateway)).ms).toBeGreaterThanOrEqual(400);
  });
});

it("needs to be told which app to run", async () => {
  const { code, lines } = await runToExit(fileURLToPath(new URL("../dist/faults/slow.js", import.meta.url)), {});
  expect(code).toBe(2);
  expect(lines.join("\n")).toMatch(/^usage: node .*slow\.js <dist\/main\.js of the app>$/);
});
