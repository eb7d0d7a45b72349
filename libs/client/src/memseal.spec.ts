import type { ServerResponse } from "node:http";
import { inspect } from "node:util";
import { Memseal, MemsealError, type MemsealOptions, type SearchEvent } from "./index.js";
import { breakOff, breakOffInBody, json, problem, ScriptedServer, silence, type Reply } from "./scripted-server.fixture.js";

const KEY = "msk_ABCDEFGHIJKL_secret-secret-secret-secret-secret-secret-s";
const MEMORY = {
  id: "01a2", text: "walnuts", agent_id: "a", run_id: "r", tags: ["t"], metadata: { snake_case: { camelCase: 1 } },
  occurred_at: "2023-05-08T13:56:00.000Z", created_at: "2026-01-01T00:00:00.000Z", updated_at: "2026-01-01T00:00:00.000Z", version: 3,
};
const MEMORY_HERE = {
  id: "01a2", text: "walnuts", agentId: "a", runId: "r", tags: ["t"], metadata: { snake_case: { camelCase: 1 } },
  occurredAt: "2023-05-08T13:56:00.000Z", createdAt: "2026-01-01T00:00:00.000Z", updatedAt: "2026-01-01T00:00:00.000Z", version: 3,
};

let server: ScriptedServer;
beforeAll(async () => { server = await ScriptedServer.start(); });
afterAll(() => server.stop());
beforeEach(() => { server.forget(); });

const memseal = (options: Partial<MemsealOptions> = {}) => new Memseal({ url: server.url, apiKey: KEY, delegate: false, ...options });
const alice = (options?: Partial<MemsealOptions>) => memseal(options).forUser("alice");
const failure = (call: Promise<unknown>) => call.then(() => { throw new Error("it succeeded"); }, (error: unknown) => error as MemsealError);
const sent = () => server.received.map(({ method, path, body }) => ({ method, path, ...(body === undefined ? {} : { body }) }));

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("a call", () => {
  it("says who is asking, for whom, and how long it waits", async () => {
    server.replies = [json(MEMORY)];
    await memseal({ timeoutMs: 2_000 }).forUser("alice").get("01a2");
    const { headers } = server.received[0];
    expect(headers.authorization).toBe(`Bearer ${KEY}`);
    expect(Number(headers["request-timeout-ms"])).toBeGreaterThan(1_500);
    expect(Number(headers["request-timeout-ms"])).toBeLessThanOrEqual(2_000);
    await alice().get("01a2", { timeoutMs: 99_000 });
    expect(server.received[1].headers["request-timeout-ms"]).toBe("30000");
  });

  it("goes below the path of its URL, with ids that cannot leave it", async () => {
    server.replies = [json(MEMORY)];
    await memseal({ url: `${server.url}/memory/` }).forUser("alice").get("../keys?a#b");
    expect(sent()).toEqual([{ method: "GET", path: "/memory/v1/memories/..%2Fkeys%3Fa%23b" }]);
  });

  it("names no user for the one that the key is bound to", async () => {
    server.replies = [json({ results: [] })];
    await memseal({ delegate: undefined }).forOwnUser().listPage();
    expect(sent()).toEqual([{ method: "POST", path: "/v1/memories/list", body: {} }]);
  });

  it.each(["ftp://a", "http://user@a", "http://a?b=c", "nonsense"])("is not made to %s", (url) => {
    expect(() => memseal({ url })).toThrow(/url must|Invalid URL/);
  });

  it("keeps the key to itself", () => {
    const shown = [inspect(memseal(), { depth: 9 }), inspect(alice(), { depth: 9 }), JSON.stringify([memseal(), alice()])].join();
    expect(shown).not.toContain("secret");
    expect(() => memseal({ apiKey: "secret\n" })).toThrow(expect.not.objectContaining({ message: expect.stringContaining("secret") as string }) as Error);
  });
});

describe("add", () => {
  const added = (id: string) => ({ id, created_at: "2026-01-01T00:00:00.000Z", version: 1, event: "create" });

  it("takes a text, a memory, several of both, and a conversation", async () => {
    server.replies = [json({ results: [added("1")] }, 201), json({ results: [added("1")] }, 201), json({ results: [added("1"), added("2")] }, 201)];
    const occurredAt = new Date("2023-05-08T13:56:00Z");
    expect(await alice().add("walnuts")).toEqual({ id: "1", createdAt: "2026-01-01T00:00:00.000Z", version: 1, event: "create" });
    expect(await alice().add({ text: "walnuts", agentId: "a", occurredAt, key: undefined, metadata: { aB: { c_d: null } }, vector: Float32Array.of(1, 0.5) })).toMatchObject({ id: "1" });
    expect(await alice().add(["one", { text: "two" }])).toHaveLength(2);
    expect(await alice().add({ runId: "r", messages: [{ role: "user", content: "hi", occurredAt: "2023-05-08T13:56:00Z" }] })).toHaveLength(2);
    expect(server.received.map(({ body }) => body)).toEqual([
      { memories: [{ text: "walnuts" }], user_id: "alice" },
      { memories: [{ text: "walnuts", agent_id: "a", occurred_at: "2023-05-08T13:56:00.000Z", metadata: { aB: { c_d: null } }, vector: [1, 0.5] }], user_id: "alice" },
      { memories: [{ text: "one" }, { text: "two" }], user_id: "alice" },
      { run_id: "r", messages: [{ role: "user", content: "hi", occurred_at: "2023-05-08T13:56:00Z" }], user_id: "alice" },
    ]);
  });

  it("refuses what JSON has no word for, rather than sending null", async () => {
    for (const memory of [{ text: "a", metadata: { a: [Number.NaN] } }, { text: "a", vector: Float32Array.of(Infinity) }, { text: "a", occurredAt: new Date("") }]) {
      await expect(alice().add(memory)).rejects.toThrow(TypeError);
    }
    expect(server.received).toEqual([]);
  });
});

describe("search", () => {
  it("names what the caller wrote and what came back in each side's way", async () => {
    const answer = {
      results: [{ memory: MEMORY, score: 0.5, passage: { index: 0, start: 0, end: 7, text: "walnuts" }, rank: 1, original_rank: 2, scores: { bm25: 1, bm25_rank: 1, similarity_rank: 3, fused: 2 } }],
      reranked: false, rerank_skipped: "timeout", rerank_depth: 0, dense: true, total_matching: 1, integrity_failures: 0, unknown_fields: ["metadata.a_b"],
      latency_ms: { embed: 1, search: 2, rerank: 3, total: 6 }, request_id: "req-8",
    };
    server.replies = [json(answer)];
    const found = await alice().search("food", {
      topK: 3, explain: true, decay: { halfLifeDays: 30 }, asOf: new Date(0),
      filters: { agentId: { ne: "b" }, "metadata.a_b": 1, NOT: { OR: [{ occurredAt: { lt: new Date(0) } }, { tags: { contains: "t" } }] } },
    });
    expect(server.received[0].body).toEqual({
      query: "food", top_k: 3, explain: true, decay: { half_life_days: 30 }, as_of: "1970-01-01T00:00:00.000Z", user_id: "alice",
      filters: { agent_id: { ne: "b" }, "metadata.a_b": 1, NOT: { OR: [{ occurred_at: { lt: "1970-01-01T00:00:00.000Z" } }, { tags: { contains: "t" } }] } },
    });
    expect(found).toEqual({
      results: [{ memory: MEMORY_HERE, score: 0.5, passage: { index: 0, start: 0, end: 7, text: "walnuts" }, rank: 1, originalRank: 2, scores: { bm25: 1, bm25Rank: 1, similarityRank: 3, fused: 2 } }],
      reranked: false, rerankSkipped: "timeout", rerankDepth: 0, dense: true, totalMatching: 1, integrityFailures: 0, unknownFields: ["metadata.a_b"],
      latencyMs: { embed: 1, search: 2, rerank: 3, total: 6 }, requestId: "req-8",
    });
    expect(server.received[0].headers).not.toHaveProperty("idempotency-key");
  });
});

describe("rerank", () => {
  it("sends documents for nobody in particular, and gives their order", async () => {
    server.replies = [json({ id: "req-1", model: "m", results: [{ index: 1, relevance_score: 0.9, document: { text: "b" } }], usage: { prompt_tokens: 7, completion_tokens: 0, total_tokens: 7 } })];
    expect(await alice().rerank("food", ["a", "b"], { topN: 1, returnDocuments: true, rawScores: false })).toEqual({
      id: "req-1", model: "m", results: [{ index: 1, relevanceScore: 0.9, document: { text: "b" } }], usage: { promptTokens: 7, completionTokens: 0, totalTokens: 7 },
    });
    expect(sent()).toEqual([{ method: "POST", path: "/v1/rerank", body: { query: "food", documents: ["a", "b"], top_n: 1, return_documents: true, raw_scores: false } }]);
  });
});

describe("a streaming search", () => {
  const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
  const stream = (...events: string[]) => (response: ServerResponse) => {
    response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "req-9" }).end(events.join(""));
  };
  const latency = { latency_ms: { embed: 1, search: 2, rerank: 3, total: 6 } };

  it("gives the fused order, what reranking made of it, and the end", async () => {
    server.replies = [stream(
      event("results", { results: [{ memory: MEMORY, rank: 1 }], reranked: false }),
      ": still there\n\n",
      event("of a newer service", {}),
      event("reranked", { order: [{ id: "01a2", score: 2 }], added: [], removed: ["01a3"], rerank_depth: 12 }),
      event("rerank_skipped", { reason: "open" }),
      event("done", latency),
    )];
    const events: SearchEvent[] = await collect(alice().searchStream("food", { topK: 1 }));
    expect(events).toEqual([
      { type: "results", answer: { results: [{ memory: MEMORY_HERE, rank: 1 }], reranked: false } },
      { type: "reranked", order: [{ id: "01a2", score: 2 }], added: [], removed: ["01a3"], rerankDepth: 12 },
      { type: "rerankSkipped", reason: "open" },
      { type: "done", latencyMs: { embed: 1, search: 2, rerank: 3, total: 6 } },
    ]);
    expect(sent()).toEqual([{ method: "POST", path: "/v1/memories/search/stream", body: { query: "food", top_k: 1, user_id: "alice" } }]);
  });

  it("fails with the service's error before and after it began, and when it breaks off", async () => {
    server.replies = [
      problem(400, "invalid_argument", { field: "query" }),
      stream(event("results", { results: [] }), event("error", { code: "deadline_exceeded", detail: "too late", status: 504, request_id: "req-9" })),
      stream(event("results", { results: [] })),
      (response) => { response.writeHead(200).write(event("results", { results: [] }), () => setTimeout(() => response.destroy(), 20)); },
    ];
    expect(await failure(collect(alice().searchStream("")))).toMatchObject({ code: "invalid_argument", field: "query" });
    expect(await failure(collect(alice().searchStream("a")))).toMatchObject({ code: "deadline_exceeded", status: 504, requestId: "req-9", message: "too late" });
    expect(await failure(collect(alice().searchStream("a")))).toMatchObject({ name: "MemsealError", code: "unavailable", requestId: "req-9" });
    expect(await failure(collect(alice().searchStream("a")))).toMatchObject({ name: "MemsealError", code: "unavailable" });
  });

  it("is over for the service, too, once the reader leaves the loop", async () => {
    let closed: () => void;
    const gone = new Promise<void>((resolve) => { closed = resolve; });
    server.replies = [(response) => {
      response.on("close", () => { closed(); });
      response.writeHead(200).write(event("results", { results: [] }));
    }];
    for await (const { type } of alice().searchStream("a")) {
      expect(type).toBe("results");
      break;
    }
    await gone;
  });
});

describe("lists", () => {
  it("go from page to page, asked for only as far as they are read", async () => {
    server.replies = [json({ results: [MEMORY, { ...MEMORY, id: "2" }], next_cursor: "c 1" }), json({ results: [{ ...MEMORY, id: "3" }] })];
    expect((await collect(alice().list({ limit: 2, filters: { runId: "r" } }))).map(({ id }) => id)).toEqual(["01a2", "2", "3"]);
    expect(sent()).toEqual([
      { method: "POST", path: "/v1/memories/list", body: { limit: 2, filters: { run_id: "r" }, user_id: "alice" } },
      { method: "POST", path: "/v1/memories/list", body: { limit: 2, filters: { run_id: "r" }, user_id: "alice", cursor: "c 1" } },
    ]);
    server.forget();
    for await (const memory of alice().list()) {
      expect(memory).toEqual(MEMORY_HERE);
      break;
    }
    expect(server.received).toHaveLength(1);
  });

  it("of audit events are the same", async () => {
    server.replies = [json({ results: [{ n: 2, at: "t", actor: "ab", action: "add", outcome: "ok", mac: "cd" }], next_cursor: "c" }), json({ results: [] })];
    expect(await collect(alice().audit())).toEqual([{ n: 2, at: "t", actor: "ab", action: "add", outcome: "ok", mac: "cd" }]);
    expect(sent().map(({ path }) => path)).toEqual(["/v1/audit", "/v1/audit?cursor=c"]);
  });
});

describe("the other calls", () => {
  it("update, look back, delete and erase", async () => {
    server.replies = [
      json(MEMORY), json({ results: [{ event: "create", at: "t", memory: MEMORY }] }), json({ deleted: 1 }), json({ deleted: 2 }), json({ deleted: 3 }),
      json({ erased_at: "t", root_key_id: "k", signed: "jws" }), json({ backups_unreadable_at: "t", root_keys: [{ id: "k", destroyed_at: "t" }] }),
    ];
    const user = alice();
    expect(await user.update("01a2", { text: "pecans", role: null, expiresAt: new Date(0) }, { ifMatch: 3 })).toEqual(MEMORY_HERE);
    expect(await user.history("01a2")).toEqual([{ event: "create", at: "t", memory: MEMORY_HERE }]);
    expect(await user.delete("01a2", { ifMatch: 4 })).toEqual({ deleted: 1 });
    expect(await user.delete({ filters: { runId: "r" } }, { dryRun: true })).toEqual({ deleted: 2 });
    expect(await user.delete({ all: true })).toEqual({ deleted: 3 });
    expect(await user.erase()).toEqual({ erasedAt: "t", rootKeyId: "k", signed: "jws" });
    expect(await user.erasure("01a/2")).toEqual({ backupsUnreadableAt: "t", rootKeys: [{ id: "k", destroyedAt: "t" }] });
    expect(sent()).toEqual([
      { method: "PATCH", path: "/v1/memories/01a2", body: { text: "pecans", role: null, expires_at: "1970-01-01T00:00:00.000Z", user_id: "alice" } },
      { method: "GET", path: "/v1/memories/01a2/history" },
      { method: "DELETE", path: "/v1/memories/01a2" },
      { method: "POST", path: "/v1/memories/delete", body: { filters: { run_id: "r" }, dry_run: true, user_id: "alice" } },
      { method: "POST", path: "/v1/memories/delete", body: { all: true, user_id: "alice" } },
      { method: "POST", path: "/v1/erasures", body: { user_id: "alice" } },
      { method: "GET", path: "/v1/erasures/01a%2F2" },
    ]);
    expect([server.received[0], server.received[2]].map(({ headers }) => headers["if-match"])).toEqual(['"3"', '"4"']);
  });
});

describe("an error", () => {
  it("has what the service said", async () => {
    server.replies = [problem(429, "resource_exhausted", { field: "memories[3].text" }, { "retry-after": "7" })];
    const error = await failure(alice({ maxRetries: 0 }).add("a"));
    expect(error).toBeInstanceOf(MemsealError);
    expect(error).toMatchObject({ code: "resource_exhausted", status: 429, requestId: "req-7", field: "memories[3].text", retryAfterS: 7, message: "refused: resource_exhausted" });
  });

  it.each([[502, "unavailable"], [403, "permission_denied"], [418, "internal"]])("of something in between is known by its status: %i is %s", async (status, code) => {
    server.replies = [(response) => { response.writeHead(status, { "x-request-id": "req-p" }).end("<html>"); }];
    expect(await failure(alice({ maxRetries: 0 }).get("a"))).toMatchObject({ code, status, requestId: "req-p" });
  });

  it("is an answer that is no JSON, and a redirect", async () => {
    server.replies = [(response) => { response.end("<html>"); }, (response) => { response.writeHead(302, { location: server.url }).end(); }];
    expect(await failure(alice({ maxRetries: 0 }).get("a"))).toMatchObject({ code: "internal", status: 200 });
    expect(await failure(alice({ maxRetries: 0 }).get("a"))).toMatchObject({ code: "unavailable", status: undefined });
  });
});

describe("a transient failure", () => {
  it.each([
    ["a refusal with 503", problem(503, "unavailable")],
    ["a refusal with 429", problem(429, "resource_exhausted")],
    ["a lost race", problem(409, "aborted")],
    ["a connection that breaks", breakOff],
    ["an answer that breaks off", breakOffInBody],
  ])("is tried again: %s", async (_what, reply) => {
    server.replies = [reply, reply, json({ results: [{ id: "1" }] })];
    expect(await alice().add("a")).toMatchObject({ id: "1" });
    const keys = server.received.map(({ headers }) => headers["idempotency-key"]);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
  });

  it("is given up after as many tries as were allowed", async () => {
    server.replies = [problem(503, "unavailable")];
    expect(await failure(alice({ maxRetries: 2 }).get("a"))).toMatchObject({ code: "unavailable", status: 503 });
    expect(server.received).toHaveLength(3);
  });

  it("is given up at once when the wait that the service asks for is longer than the caller's time", async () => {
    server.replies = [problem(503, "unavailable", {}, { "retry-after": "5" })];
    expect(await failure(alice({ timeoutMs: 1_000 }).get("a"))).toMatchObject({ retryAfterS: 5 });
    expect(server.received).toHaveLength(1);
  });

  it.each([[400, "invalid_argument"], [409, "already_exists"], [413, "resource_exhausted"], [500, "internal"], [504, "deadline_exceeded"]])(
    "is none of %i %s", async (status, code) => {
      server.replies = [problem(status, code)];
      expect(await failure(alice().add("a"))).toMatchObject({ code, status });
      expect(server.received).toHaveLength(1);
    },
  );

  it("of an erasure is tried again under one key, so that nothing written since is erased", async () => {
    server.replies = [problem(503, "unavailable"), breakOff, json({ root_key_id: "k" })];
    expect(await alice().erase()).toEqual({ rootKeyId: "k" });
    expect(server.received.map(({ headers }) => headers["idempotency-key"])).toEqual(Array(3).fill(expect.stringMatching(/^[0-9a-f]{32}$/)));
    expect(new Set(server.received.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
  });

  it("has another key in another call, or the caller's in all", async () => {
    server.replies = [json({ deleted: 1 })];
    const user = alice();
    await user.delete("a");
    await user.delete("a");
    await user.delete("a", { idempotencyKey: "mine" });
    const [one, two, mine] = server.received.map(({ headers }) => headers["idempotency-key"]);
    expect(one).not.toBe(two);
    expect(mine).toBe("mine");
    expect(await failure(user.delete("a", { idempotencyKey: "two words" }))).toMatchObject({ code: "invalid_argument" });
  });
});

describe("the caller's time", () => {
  it("is one for all tries, and each is told what is left of it", async () => {
    server.replies = [(response, received) => { setTimeout(() => { problem(503, "unavailable")(response, received); }, 300); }, silence];
    const startedAt = Date.now();
    expect(await failure(alice({ timeoutMs: 600 }).get("a"))).toMatchObject({ code: "deadline_exceeded", status: undefined });
    expect(Date.now() - startedAt).toBeLessThan(3_000);
    const [first, second] = server.received.map(({ headers }) => Number(headers["request-timeout-ms"]));
    expect(second).toBeLessThanOrEqual(first - 299);
  });

  it("ends with the caller's signal, before, during and between tries", async () => {
    await expect(alice().get("a", { signal: AbortSignal.abort(new Error("changed my mind")) })).rejects.toThrow("changed my mind");
    expect(server.received).toHaveLength(0);
    for (const reply of [silence, problem(503, "unavailable", {}, { "retry-after": "5" })]) {
      server.replies = [reply];
      const controller = new AbortController();
      setTimeout(() => { controller.abort(new Error("changed my mind")); }, 50);
      await expect(alice({ timeoutMs: 30_000 }).get("a", { signal: controller.signal })).rejects.toThrow("changed my mind");
    }
  });
});

describe("a delegate's key", () => {
  const tokens: string[] = [];
  const answering = (own: Reply = json(MEMORY)) => {
    tokens.length = 0;
    server.replies = [(response, received) => {
      if (received.path !== "/v1/tokens") {
        own(response, received);
        return;
      }
      const token = `token-${tokens.push("")}`;
      json({ token, expires_at: "2026-01-01T00:15:00.000Z" })(response, received);
    }];
  };
  const exchanges = () => server.received.filter(({ path }) => path === "/v1/tokens");
  const bearers = () => server.received.filter(({ path }) => path !== "/v1/tokens").map(({ headers }) => headers.authorization);

  it("is exchanged once for each user, however many ask at the same time, and reads nothing itself", async () => {
    answering();
    const delegate = memseal({ delegate: true });
    await Promise.all([delegate.forUser("alice").get("a"), delegate.forUser("alice").get("b"), delegate.forUser("bob").get("c")]);
    await delegate.forUser("alice").get("d");
    expect(exchanges().map(({ body }) => body)).toEqual(expect.arrayContaining([
      { user_id: "alice", scopes: ["read", "write"], ttl_s: 900 },
      { user_id: "bob", scopes: ["read", "write"], ttl_s: 900 },
    ]));
    expect(exchanges()).toHaveLength(2);
    expect(exchanges().every(({ headers }) => headers.authorization === `Bearer ${KEY}`)).toBe(true);
    expect(bearers().every((bearer) => bearer?.startsWith("Bearer token-"))).toBe(true);
  });

  it("asks for admin only where it is needed", async () => {
    answering(json({ results: [] }));
    const user = memseal({ delegate: true, scopes: ["read"] }).forUser("alice");
    await user.listPage();
    await collect(user.audit());
    expect(exchanges().map(({ body }) => body)).toEqual([
      { user_id: "alice", scopes: ["read"], ttl_s: 900 },
      { user_id: "alice", scopes: ["admin"], ttl_s: 900 },
    ]);
  });

  it("is exchanged again before a token ends, and once when the service no longer takes one", async () => {
    answering();
    const user = memseal({ delegate: true }).forUser("alice");
    await user.get("a");
    const { now } = Date;
    Date.now = () => now() + 841_000;
    await user.get("a");
    Date.now = now;
    expect(bearers()).toEqual(["Bearer token-1", "Bearer token-2"]);

    server.forget();
    answering((response, received) => {
      const reply = received.headers.authorization === "Bearer token-1" ? json(MEMORY) : problem(401, "unauthenticated");
      reply(response, received);
    });
    await user.get("a");
    expect(bearers()).toEqual(["Bearer token-2", "Bearer token-1"]);

    answering(problem(401, "unauthenticated"));
    server.forget();
    expect(await failure(user.get("a"))).toMatchObject({ code: "unauthenticated" });
    expect(bearers()).toHaveLength(2);
  });

  it("is told from the key of one user by the first exchange, which that is refused, once", async () => {
    server.replies = [problem(403, "permission_denied"), json(MEMORY)];
    const user = memseal({ delegate: undefined }).forUser("alice");
    await user.get("a");
    await user.get("b");
    expect(sent().map(({ path }) => path)).toEqual(["/v1/tokens", "/v1/memories/a", "/v1/memories/b"]);
    expect(bearers()).toEqual([`Bearer ${KEY}`, `Bearer ${KEY}`]);
  });

  it("that is refused a token later fails with that refusal, and a failed exchange is not remembered", async () => {
    answering();
    const delegate = memseal({ delegate: undefined, maxRetries: 0 });
    await delegate.forUser("alice").get("a");
    server.forget();
    server.replies = [problem(403, "permission_denied")];
    expect(await failure(delegate.forUser("bob").get("a"))).toMatchObject({ code: "permission_denied" });
    expect(bearers()).toEqual([]);
    answering();
    await delegate.forUser("bob").get("a");
    expect(bearers()).toEqual(["Bearer token-1"]);
  });

  it("shares an exchange without sharing the first caller's patience", async () => {
    let release: () => void = () => undefined;
    server.replies = [
      (response, received) => { release = () => { json({ token: "token-1" })(response, received); }; },
      json(MEMORY),
    ];
    const user = memseal({ delegate: true }).forUser("alice");
    const controller = new AbortController();
    const impatient = user.get("a", { signal: controller.signal });
    const patient = user.get("b");
    while (server.received.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort(new Error("changed my mind"));
    await expect(impatient).rejects.toThrow("changed my mind");
    release();
    expect(await patient).toEqual(MEMORY_HERE);
    expect(exchanges()).toHaveLength(1);
  });
});
