import { randomUUID } from "node:crypto";
import { LIMITS } from "@memseal/contracts";
import { TRANSPORTS, type Answer, type Ask, type Gateway, type Json } from "./gateway.js";
import { Stack } from "./stack.js";

const CANARY = "the canary sings of zirconium at noon";

let stack: Stack;
let gateway: Gateway;
/** Ada has memories, embedded by the service; Bob has one with a vector of his own. */
let ada: string;
let bob: string;
let adaReads: string;
let bobsId: string;

beforeAll(async () => {
  stack = await Stack.start();
  gateway = await stack.startGateway();
  [ada, bob, adaReads] = await Promise.all([stack.createKey("ada-7731"), stack.createKey("bob-7732"), stack.createKey("ada-7731", ["read"])]);
  const { body } = await gateway.ask("http", { method: "add", key: bob, json: { memories: [{ text: CANARY, vector: [1, 2, 2] }] } });
  bobsId = idsOf(body)[0]!;
});

afterAll(async () => {
  await stack.stop();
});

const idsOf = (body: Json) => (body["results"] as { id: string }[]).map(({ id }) => id);
const textsOf = (body: Json) => (body["results"] as { memory: { text: string } }[]).map(({ memory }) => memory.text);
/** The vectors' dimension of Ada's memories is the embedder's. */
const vectorOf = (dimension: number, value = 1) => Array<number>(dimension).fill(value);

describe.each(TRANSPORTS)("over %s", (transport) => {
  const ask = (request: Ask) => gateway.ask(transport, { key: ada, ...request });

  it("memories are added, found, read, listed and deleted", async () => {
    const user = await stack.createKey(`round-trip-${transport}`);
    const mine = (request: Ask) => ask({ ...request, key: user });
    const memories = [
      { text: "I adopted a dog named Biscuit from the shelter.", role: "Caroline", source: "chat", tags: ["pets", "family", "pets"], agent_id: "assistant", metadata: { mood: ["happy", 1, null, { sure: true }] }, occurred_at: "2023-05-08T13:56:00Z" },
      { text: "The quarterly budget review is on Thursday.", source: "mail", tags: ["work"] },
      { text: "Our rowing club won the regatta.", source: "chat" },
    ];
    const added = await mine({ method: "add", json: { memories, user_id: `round-trip-${transport}` } });
    expect(added).toMatchObject({ code: "ok", body: { results: [{ version: 1 }, { version: 1 }, { version: 1 }] } });
    const [dog, budget, rowing] = idsOf(added.body);

    const found = await mine({ method: "search", json: { query: "Which pet does Caroline have?", top_k: 2, explain: true } });
    expect(found.code).toBe("ok");
    expect(found.body).toMatchObject({ reranked: true, rerank_depth: 3, dense: true, total_matching: 3, integrity_failures: 0, request_id: found.requestId });
    expect(found.body["results"]).toHaveLength(2);
    expect((found.body["results"] as Json[])[0]).toMatchObject({
      rank: 1,
      original_rank: expect.any(Number) as number,
      memory: { id: dog, ...memories[0], tags: ["pets", "family"], occurred_at: "2023-05-08T13:56:00.000Z", version: 1 },
      passage: { index: 0, start: 0, end: memories[0].text.length, text: memories[0].text },
      scores: { similarity: expect.any(Number) as number, rerank: expect.any(Number) as number, fused: expect.any(Number) as number },
    });

    const fused = await mine({ method: "search", json: { query: "budget", rerank: false } });
    expect(fused.body).toMatchObject({ reranked: false, rerank_skipped: "disabled", rerank_depth: 0 });
    expect(textsOf(fused.body)[0]).toBe(memories[1].text);
    expect((fused.body["results"] as Json[])[0]).not.toHaveProperty("scores");

    const chat = await mine({ method: "search", json: { query: "news", filters: { source: "chat", NOT: { tags: { contains: "pets" } } } } });
    expect(chat.body).toMatchObject({ total_matching: 1 });
    expect(textsOf(chat.body)).toEqual([memories[2].text]);

    const about = (filters: Json) => mine({ method: "search", json: { query: "news", filters } }).then(({ body }) => body);
    expect(await about({ occurred_at: { lt: "2023-05-08T16:00:00+02:00" }, agent_id: { ne: "planner" }, id: dog })).toMatchObject({ total_matching: 1, unknown_fields: [] });
    expect(await about({ "metadata.mood": { contains: 1 } })).toMatchObject({ total_matching: 1, unknown_fields: [] });
    expect(await about({ NOT: { "metadata.mod": "happy" } })).toMatchObject({ total_matching: 3, unknown_fields: ["metadata.mod"] });

    expect((await mine({ method: "get", json: { id: dog } })).body).toMatchObject({ id: dog, metadata: memories[0].metadata, agent_id: "assistant" });
    const first = await mine({ method: "list", json: { limit: "2" } });
    expect(idsOf(first.body)).toEqual([rowing, budget]);
    const rest = await mine({ method: "list", json: { limit: "2", cursor: String(first.body["next_cursor"]) } });
    expect(idsOf(rest.body)).toEqual([dog]);
    expect(rest.body).not.toHaveProperty("next_cursor");

    expect((await mine({ method: "delete", json: { id: dog } })).body).toEqual({ deleted: 1 });
    expect(await mine({ method: "delete", json: { id: dog } })).toMatchObject({ code: "not_found" });
    expect(await mine({ method: "get", json: { id: dog } })).toMatchObject({ code: "not_found" });
    expect(textsOf((await mine({ method: "search", json: { query: "Which pet does Caroline have?" } })).body)).not.toContain(memories[0].text);
    expect(idsOf((await mine({ method: "list" })).body)).toEqual([rowing, budget]);
  });

  it("a long text is found by the passage that answers", async () => {
    const user = await stack.createKey(`long-${transport}`);
    const filler = "The minutes of the meeting were read and approved by everyone present. ".repeat(40);
    const text = `${filler}Afterwards 😀 we agreed that the lighthouse keeper is called Ottoline. ${filler}`;
    expect((await ask({ method: "add", key: user, json: { memories: [{ text }] } })).code).toBe("ok");
    const { body } = await ask({ method: "search", key: user, json: { query: "Who keeps the lighthouse?" } });
    const { passage } = (body["results"] as { passage: { start: number; end: number; text: string } }[])[0];
    expect(passage.text).toContain("Ottoline");
    expect(Array.from(text).slice(passage.start, passage.end).join("")).toBe(passage.text);
  });

  it("a fact in the last sentence of a 5,000-word memory is found among other memories", async () => {
    const user = await stack.createKey(`last-sentence-${transport}`);
    const words = "harbour ledger morning kettle walked answered quietly the of and they window garden letter train station was bread with rain".split(" ");
    const prose = Array.from({ length: 4_990 }, (_word, i) => `${words[(i * i + 7 * i) % words.length]}${i % 12 === 11 ? "." : ""}`).join(" ");
    const text = `${prose}. The spare key to the cabin hangs behind the blue barometer.`;
    expect(text.split(" ").length).toBeGreaterThan(4_999);
    const others = words.map((word, i) => ({ text: `Note ${i}: the ${word} was discussed, and a key point was the ${words[(i + 5) % words.length]}.` }));
    const added = await ask({ method: "add", key: user, json: { memories: [{ text }, ...others] } });
    expect(added.code).toBe("ok");
    const { body } = await ask({ method: "search", key: user, json: { query: "Where can I find the cabin's extra key?", top_k: 3 } });
    const [best] = body["results"] as { memory: { id: string }; passage: { text: string } }[];
    expect(best.memory.id).toBe(idsOf(added.body)[0]);
    expect(best.passage.text).toMatch(/behind the blue barometer\.$/);
  });

  it("a caller's own vectors need no embedder and are searched by", async () => {
    const { body } = await ask({ method: "search", key: bob, json: { query: "zzz", vector: [1, 2, 2], explain: true } });
    expect(body).toMatchObject({ dense: true, results: [{ memory: { id: bobsId }, scores: { similarity: expect.closeTo(1) as number, similarity_rank: 1 } }] });
  });

  it("a search by words or by embeddings alone says so, and takes nothing that its mode cannot use", async () => {
    const user = await stack.createKey(`modes-${transport}`);
    const memories = ["The puppy sleeps.", "A dog is a dog.", "Taxes are due."].map((text) => ({ text }));
    await ask({ method: "add", key: user, json: { memories } });
    const search = (json: object) => ask({ method: "search", key: user, json: { query: "young dog", explain: true, rerank: false, ...json } });
    const scored = ({ body }: Answer) => (body["results"] as { scores: { similarity_rank?: number; bm25_rank?: number } }[]).map(({ scores }) => scores);
    const words = await search({ mode: "lexical" });
    expect({ code: words.code, ...words.body }).toMatchObject({ code: "ok", dense: false, dense_skipped: "disabled" });
    expect(scored(words)).toMatchObject([{ bm25_rank: 1 }, {}, {}]);
    const similar = await search({ mode: "dense", context: false });
    expect({ code: similar.code, ...similar.body }).toMatchObject({ code: "ok", dense: true });
    expect(scored(similar)).toMatchObject([{ similarity_rank: 1 }, { similarity_rank: 2 }, { similarity_rank: 3 }]);
    const faults = await Promise.all([{ mode: "semantic" }, { mode: "lexical", vector: [1] }, { mode: "lexical", threshold: 0.5 }].map(search));
    expect(faults).toMatchObject(["mode", "vector", "threshold"].map((field) => ({ code: "invalid_argument", field })));
    expect(await ask({ method: "search", key: bob, json: { query: "the canary", mode: "dense" } })).toMatchObject({ code: "invalid_argument", field: "vector" });
  });

  it("a query without a vector, of a user whose vectors have another dimension than the embedder's, is answered by words", async () => {
    const { code, body } = await ask({ method: "search", key: bob, json: { query: "the canary" } });
    expect({ code, ...body }).toMatchObject({ code: "ok", dense: false, dense_skipped: "model_mismatch", results: [{ memory: { id: bobsId } }] });
  });

  it("200 memories with metadata as large as it may be are stored, though it grows on its way in", async () => {
    const user = await stack.createKey(`large-${transport}`);
    // As many numbers as the limit takes: 10 KB of JSON, 11 MB of protobuf in all; over gRPC, what fits in 8 MiB without the embeddings.
    const numbers = Array<number>(transport === "http" ? 5_100 : 3_780).fill(7);
    const memories = Array.from({ length: LIMITS.memoriesPerCall }, (_, i) => ({ text: `reading ${i}`, metadata: { numbers } }));
    const answer = await ask({ method: "add", key: user, json: { memories }, headers: { "request-timeout-ms": "30000" } });
    expect(answer).toMatchObject({ code: "ok", ...(transport === "http" ? { status: 201 } : {}) });
    expect(idsOf(answer.body)).toHaveLength(200);
  });

  it("memories as long as they may be, with vectors of their own, are reranked, search after search", async () => {
    const user = await stack.createKey(`longest-${transport}`);
    const memories = [{ text: "😀 dog ".repeat(10_000).slice(0, LIMITS.textCharacters), vector: vectorOf(384) }, { text: " ", vector: vectorOf(384) }];
    expect((await ask({ method: "add", key: user, json: { memories } })).code).toBe("ok");
    // More often than it takes to open a breaker, which is everybody's.
    for (let i = 0; i < 12; i++) {
      expect((await ask({ method: "search", key: user, json: { query: "dog" } })).body).toMatchObject({ reranked: true, total_matching: 2 });
    }
  });

  it("another user's memory is as absent as one that never was", async () => {
    for (const method of ["get", "delete"] as const) {
      const foreign = await ask({ method, json: { id: bobsId } });
      const absent = await ask({ method, json: { id: randomUUID() } });
      expect(foreign.code).toBe("not_found");
      expect(but(foreign, "request_id")).toEqual(but(absent, "request_id"));
    }
    expect((await ask({ method: "get", key: bob, json: { id: bobsId } })).code).toBe("ok");
  });

  it("a caller's request id comes back, and a new one replaces what is no id", async () => {
    expect((await ask({ method: "list", headers: { "x-request-id": "order-7_a.b" } })).requestId).toBe("order-7_a.b");
    expect((await ask({ method: "list", headers: { "x-request-id": "two words" } })).requestId).toMatch(/^[0-9a-f-]{36}$/);
    const refused = await ask({ method: "list", key: "msk_none", headers: { "x-request-id": "order-8" } });
    expect(refused).toMatchObject({ code: "unauthenticated", requestId: "order-8" });
  });
});

const but = ({ body, code, field }: Answer, name: string) => ({ code, field, body: { ...body, [name]: undefined } });

describe("HTTP itself", () => {
  const problemAt = async (path: string, init?: RequestInit) => {
    const response = await gateway.fetch(path, init);
    expect(response.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    return { status: response.status, headers: response.headers, problem: (await response.json()) as Json };
  };

  it.each<[number, string, RequestInit]>([
    [404, "/v1/nothing?text=zirconium", {}],
    [404, "/v1/memories", { method: "PUT", body: "{}", headers: { "content-type": "application/json" } }],
    [400, "/v1/memories/%E0%A4%A", {}],
    [415, "/v1/memories", { method: "POST", body: "text=zirconium", headers: { "content-type": "application/x-www-form-urlencoded" } }],
    [415, "/v1/memories", { method: "POST", body: "zirconium", headers: { "content-type": "text/plain" } }],
    [400, "/v1/memories", { method: "POST", body: '{"text": "zirconium"', headers: { "content-type": "application/json" } }],
  ])("answers %i to what is no request at %s, and repeats nothing of it", async (status, path, init) => {
    const { problem, headers, status: answered } = await problemAt(path, init);
    expect(answered).toBe(status);
    expect(problem).toMatchObject({ status, request_id: headers.get("x-request-id") });
    expect(JSON.stringify(problem)).not.toContain("zirconium");
  });

  it("asks for a bearer key and forbids caches", async () => {
    const { status, headers } = await problemAt("/v1/memories");
    expect(status).toBe(401);
    expect(headers.get("www-authenticate")).toBe("Bearer");
    expect(headers.get("cache-control")).toBe("no-store");
  });

  it("deletes with a content type and no body, as many clients send it", async () => {
    const response = await gateway.fetch(`/v1/memories/${randomUUID()}`, { method: "DELETE", headers: { authorization: `Bearer ${ada}`, "content-type": "application/json" } });
    expect(response.status).toBe(404);
  });

  it("is up, ready and measured", async () => {
    expect((await gateway.fetch("/healthz")).status).toBe(200);
    expect((await gateway.fetch("/readyz")).status).toBe(200);
    for (const transport of TRANSPORTS) await gateway.ask(transport, { method: "searchStream", key: ada, json: { query: "dog" } });
    const metrics = await (await gateway.fetch("/metrics")).text();
    for (const transport of TRANSPORTS) {
      expect(metrics).toMatch(new RegExp(`memseal_time_to_first_value_seconds_count{track="stable",method="search_stream",transport="${transport}"} [1-9]`));
      expect(metrics).toMatch(new RegExp(`memseal_requests_total{method="search",transport="${transport}",code="ok",track="stable"} [1-9]`));
      expect(metrics).toMatch(new RegExp(`memseal_requests_total{method="list",transport="${transport}",code="unauthenticated",track="stable"} [1-9]`));
      expect(metrics).toContain(`memseal_requests_total{method="delete",transport="${transport}",code="data_loss",track="stable"} 0`);
      expect(metrics).toMatch(new RegExp(`memseal_request_duration_seconds_count{track="stable",method="add",transport="${transport}"} [1-9]`));
    }
    expect(metrics).toMatch(/memseal_reranked_total{track="stable"} \d+/);
    expect(metrics).toMatch(/memseal_rerank_shortened_total{track="stable"} \d+/);
    expect(metrics).toMatch(/memseal_rerank_skipped_total{reason="disabled",track="stable"} [1-9]/);
    expect(metrics).toMatch(/memseal_dense_skipped_total{reason="open",track="stable"} 0/);
  });
});

describe("what was said", () => {
  it("is in no log line and no metric: no text, no user id, no key", async () => {
    const metrics = await (await gateway.fetch("/metrics")).text();
    expect(stack.output).toContain('"event":"request"');
    for (const secret of ["zirconium", "Biscuit", "Ottoline", "ada-7731", "bob-7732", "round-trip-", ada, ada.slice(0, 16), bob, adaReads]) {
      expect(stack.output).not.toContain(secret);
      expect(metrics).not.toContain(secret);
    }
  });
});
