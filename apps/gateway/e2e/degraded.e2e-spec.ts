import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { TRANSPORTS, type Answer, type Ask, type Gateway, type Json } from "./gateway.js";
import { Stack } from "./stack.js";

let stack: Stack;
let gateway: Gateway;
let key: string;

beforeAll(async () => {
  stack = await Stack.start();
  gateway = await stack.startGateway();
  key = await stack.createKey("grace");
  await ask({ method: "add", json: { memories: [{ text: "The moth was found in relay 70." }, { text: "The compiler was written in 1952." }] } });
});

afterAll(async () => {
  await stack.stop();
});

const ask = (request: Ask) => gateway.ask("http", { key, ...request });
const search = (): Promise<Answer> => ask({ method: "search", json: { query: "Where was the moth?" } });
const stored = async () => (await ask({ method: "list" })).body["results"] as { id: string; text: string }[];

/** The first answer that is as it should be, or after ten seconds the last one. */
async function soon(wanted: Json): Promise<Json> {
  const giveUpMs = Date.now() + 10_000;
  for (;;) {
    const { body } = await search();
    if (Object.entries(wanted).every(([name, value]) => body[name] === value) || Date.now() > giveUpMs) return body;
    await delay(100);
  }
}

// In this order: each starts from how the one before left the reranker.
describe("without the models", () => {
  it("searches go on by words alone and say so, at first and while the breakers are open", async () => {
    expect((await search()).body).toMatchObject({ dense: true, reranked: true });
    await stack.killReranker();
    const reasons = new Set<unknown>();
    for (let i = 0; i < 14; i++) {
      const { code, body } = await search();
      expect({ code, ...body }).toMatchObject({ code: "ok", dense: false, reranked: false, total_matching: 2 });
      expect((body["results"] as { memory: { text: string } }[])[0]?.memory.text).toBe("The moth was found in relay 70.");
      reasons.add(body["dense_skipped"]).add(body["rerank_skipped"]);
    }
    expect([...reasons].sort()).toEqual(["error", "open"]);
    expect((await gateway.fetch("/readyz")).status).toBe(200);
  });

  it("a search by embeddings alone is refused as unavailable, one by words alone lacks nothing", async () => {
    for (const transport of TRANSPORTS) {
      expect(await gateway.ask(transport, { method: "search", key, json: { query: "Where was the moth?", mode: "dense" } })).toMatchObject({ code: "unavailable", retryAfter: "1" });
      const { body } = await gateway.ask(transport, { method: "search", key, json: { query: "Where was the moth?", mode: "lexical", rerank: false } });
      expect(body).toMatchObject({ dense_skipped: "disabled", total_matching: 2 });
    }
  });

  it("a write without a vector is refused as unavailable and nothing of the call is stored", async () => {
    const before = await stored();
    for (const transport of TRANSPORTS) {
      const answer = await gateway.ask(transport, { method: "add", key, json: { memories: [{ text: "a", vector: Array(384).fill(1) }, { text: "b" }] } });
      expect(answer).toMatchObject({ code: "unavailable", retryAfter: "1" });
      if (transport === "http") expect(answer.status).toBe(503);
    }
    expect(await stored()).toEqual(before);
  });

  it("a write with a vector is stored, and whoever speaks in it may change, where in one that the embedder made nobody may", async () => {
    const { code } = await ask({ method: "add", json: { memories: [{ text: "COBOL came later.", vector: Array(384).fill(1) }] } });
    expect(code).toBe("ok");
    const [own, embedded] = await stored();
    expect(own).toMatchObject({ text: "COBOL came later." });
    for (const transport of TRANSPORTS) {
      expect(await gateway.ask(transport, { method: "update", key, json: { id: own.id, role: `Grace over ${transport}` } })).toMatchObject({ code: "ok", body: { role: `Grace over ${transport}` } });
      expect(await gateway.ask(transport, { method: "update", key, json: { id: embedded.id, role: "Grace" } })).toMatchObject({ code: "unavailable", retryAfter: "1" });
    }
  });

  it("the embedder alone brings meaning back, and order stays fused", async () => {
    await stack.startReranker("embed");
    const answer = await soon({ dense: true });
    expect(answer).toMatchObject({ dense: true, reranked: false });
    expect(answer["rerank_skipped"]).toMatch(/^(error|open)$/);
  });

  it("a write without a vector is unavailable, not a fault of ours, where the reranker alone is served", async () => {
    await stack.killReranker();
    await stack.startReranker("rerank");
    expect((await soon({ reranked: true }))["dense_skipped"]).toMatch(/^(error|open)$/);
    const answers = await Promise.all(TRANSPORTS.map((transport) => gateway.ask(transport, { method: "add", key, json: { memories: [{ text: "b" }] } })));
    expect(answers).toMatchObject([{ code: "unavailable", status: 503 }, { code: "unavailable" }]);
  });

  it("both are back within seconds of the reranker's return, and nothing else was restarted", async () => {
    await stack.killReranker();
    await stack.startReranker();
    expect(await soon({ dense: true, reranked: true })).toMatchObject({ dense: true, reranked: true });
    expect((await ask({ method: "add", json: { memories: [{ text: "Nanoseconds are 30 cm long." }] } })).code).toBe("ok");
  });
});

describe("a reranker that takes longer than it may", () => {
  it("is not waited for, and the answer says timeout", async () => {
    const hasty = await stack.startGateway({ MEMSEAL_RERANK_TIMEOUT_MS: "1" });
    const { code, body } = await hasty.ask("http", { method: "search", key, json: { query: "Where was the moth?" } });
    expect({ code, ...body }).toMatchObject({ code: "ok", dense: true, reranked: false, rerank_skipped: "timeout" });
    const metrics = await (await hasty.fetch("/metrics")).text();
    expect(metrics).toContain('memseal_rerank_skipped_total{reason="timeout",track="stable"} 1');
    await hasty.stop();
  });
});

describe("a flag that is switched off", () => {
  it("is followed within seconds and without a restart, and said to whom it concerns", async () => {
    const file = join(stack.database.dir, "flags.json");
    writeFileSync(file, "{}");
    const flagged = await stack.startGateway({ MEMSEAL_FLAGS_FILE: file });
    const codes = async () => Object.fromEntries(await Promise.all([
      { method: "search", json: { query: "Where was the moth?" } },
      { method: "add", json: { memories: [{ text: "a switch" }] } },
      { method: "rerank", json: { query: "moth", documents: ["a moth"] } },
      { method: "list", json: {} },
    ].map(async (asked) => {
      const [http, grpc] = await Promise.all(TRANSPORTS.map((transport) => flagged.ask(transport, { ...(asked as Ask), key })));
      expect({ code: http.code, retryAfter: http.retryAfter }).toEqual({ code: grpc.code, retryAfter: grpc.retryAfter });
      return [asked.method, http.code];
    }))) as Record<string, string>;
    const soonIs = async (expected: Record<string, string>) => {
      for (let i = 0; i < 40 && JSON.stringify(await codes()) !== JSON.stringify(expected); i++) await delay(100);
      expect(await codes()).toEqual(expected);
    };
    const found = async () => (await flagged.ask("http", { method: "search", key, json: { query: "Where was the moth?" } })).body;

    await soonIs({ search: "ok", add: "ok", rerank: "ok", list: "ok" });
    writeFileSync(file, '{"rerank":false,"writes":false}');
    await soonIs({ search: "ok", add: "unavailable", rerank: "unavailable", list: "ok" });
    expect(await found()).toMatchObject({ reranked: false, rerank_skipped: "off", dense: true });
    writeFileSync(file, '{"rerank":"no"}');
    await delay(1_500);
    expect(await found()).toMatchObject({ rerank_skipped: "off" });
    writeFileSync(file, '{"search":false}');
    await soonIs({ search: "unavailable", add: "ok", rerank: "ok", list: "ok" });

    const metrics = await (await flagged.fetch("/metrics")).text();
    expect(metrics).toMatch(/memseal_flag_state{flag="search",track="stable"} 0/);
    expect(metrics).toMatch(/memseal_flag_state{flag="rerank",track="stable"} 1/);
    expect(metrics).toMatch(/memseal_rerank_skipped_total{reason="off",track="stable"} [1-9]/);
    const events = flagged.process.lines.map((line) => JSON.parse(line) as Json).filter(({ event }) => String(event).startsWith("flags"));
    expect(events).toMatchObject([{ event: "flags changed", off: "writes,rerank" }, { event: "flags not usable" }, { event: "flags changed", off: "search" }]);
    await flagged.stop();
  });
});

describe("without the indexer", () => {
  it("a gateway is up but not ready, and says unavailable", async () => {
    const alone = await stack.startGateway({ MEMSEAL_INDEXER_ADDRESS: "127.0.0.1:1" });
    expect((await alone.fetch("/healthz")).status).toBe(200);
    const ready = await alone.fetch("/readyz");
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ code: "unavailable" });
    for (const transport of TRANSPORTS) {
      expect(await alone.ask(transport, { method: "list", key })).toMatchObject({ code: "unavailable", retryAfter: "1" });
    }
    await alone.stop();
  });
});
