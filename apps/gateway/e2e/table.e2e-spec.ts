import { setTimeout as delay } from "node:timers/promises";
import { encodeVector, LIMITS, MemoryServiceService, type NewMemory } from "@memseal/contracts";
import { withClient } from "@memseal/storage/testing";
import { MAX_MESSAGE_BYTES } from "@memseal/transport";
import { freePort, type ServiceProcess } from "@memseal/transport/testing";
import { Comparison, type Expected } from "./comparison.js";
import { grpcPathOf, hasBody, SHARED_METHODS, storedTexts, TRANSPORTS, type Answer, type Ask, type Gateway, type Json, type Method, type Transport } from "./gateway.js";
import { UnreadCalls } from "./raw-grpc.js";
import { Stack } from "./stack.js";

// One table of cases, each asked over HTTP and gRPC and compared: what is answered to bad input, and to good.

const CANARY = "the canary sings of zirconium at noon";
/** Of no memory. */
const ABSENT = "01900000-0000-7000-8000-000000000000";
/** A caller's own vector, and one of a length that its user's others do not have. */
const OWN = [1, 2, 2];
const LONGER = [1, 2, 2, 4];
/** Seconds in which one request is allowed where rates are spent; the answer comes within one of them. */
const SLOW_S = 10;
const SLOW = "read=0.1,write=0.1,rerank=0.1";
const EVERYTHING = ["read", "write", "admin"];

let stack: Stack;
let gateway: Gateway;
const comparison = new Comparison();
const compare = (ask: (transport: Transport) => Ask, expected: Expected, at = gateway) => comparison.compare(at, ask, expected);

/** One request of each call that is well-formed. */
const VALID: Readonly<Record<Method, Json>> = {
  add: { memories: [{ text: "a", vector: OWN }] },
  search: { query: "q", vector: OWN },
  searchStream: { query: "q", vector: OWN },
  get: { id: ABSENT },
  list: {},
  listByBody: {},
  update: { id: ABSENT, text: "b", vector: OWN },
  history: { id: ABSENT },
  delete: { id: ABSENT },
  deleteMany: { all: true },
  listAudit: {},
  rerank: { query: "q", documents: ["a"] },
  rerankV2: { query: "q", documents: ["a"] },
  rerankStream: { query: "q", documents: ["a"] },
  createToken: { user_id: "ann", scopes: ["read"], ttl_s: 60 },
  erase: {},
  getErasure: { id: ABSENT },
};

/** The same with a fault, and where. */
const FAULTY: Readonly<Record<Method, readonly [json: Json, field: string]>> = {
  add: [{ memories: [] }, "memories"],
  search: [{ query: " " }, "query"],
  searchStream: [{ query: "q", top_k: 101 }, "top_k"],
  get: [{ id: "7" }, "id"],
  list: [{ limit: "101" }, "limit"],
  listByBody: [{ limit: 0 }, "limit"],
  update: [{ id: ABSENT, text: "" }, "text"],
  history: [{ id: "7" }, "id"],
  delete: [{ id: "7" }, "id"],
  deleteMany: [{}, "request"],
  listAudit: [{ cursor: "next" }, "cursor"],
  rerank: [{ query: "q", documents: [] }, "documents"],
  rerankV2: [{ query: "q", documents: ["a"], top_n: 0 }, "top_n"],
  rerankStream: [{ query: "q", documents: [] }, "documents"],
  createToken: [{ user_id: "ann", scopes: ["read"], ttl_s: 901 }, "ttl_s"],
  erase: [{ user_id: "" }, "user_id"],
  getErasure: [{ id: "7" }, "id"],
};

const NEEDS: Readonly<Record<Method, "read" | "write" | "admin" | "delegate">> = {
  add: "write", search: "read", searchStream: "read", get: "read", list: "read", listByBody: "read", update: "write", history: "read", delete: "write",
  deleteMany: "write", listAudit: "admin", rerank: "read", rerankV2: "read", rerankStream: "read", createToken: "delegate", erase: "admin", getErasure: "admin",
};

let users = 0;
/** A credential that may do the call, of a user that nobody else has, or with `scopes` alone. */
const keyFor = (method: Method, scopes: readonly string[] = EVERYTHING) => (NEEDS[method] === "delegate" ? stack.createDelegateKey("shop", scopes) : stack.createKey(`user ${users++}`, scopes));
const keysFor = async (method: Method, scopes?: readonly string[]): Promise<Record<Transport, string>> => ({ http: await keyFor(method, scopes), grpc: await keyFor(method, scopes) });
const idsOf = (body: Json) => (body["results"] as { id: string }[]).map(({ id }) => id);
/** Has a gateway know a key, so that it asks nobody about it for a while. */
const known = async (keys: Record<Transport, string>, at: Gateway) => {
  for (const transport of TRANSPORTS) await at.ask("grpc", { method: "list", key: keys[transport] });
  return keys;
};
/** A user with a memory of its own vector. */
const userWith = async (...texts: string[]) => {
  const key = await stack.createKey(`user ${users++}`, EVERYTHING);
  const { body } = await gateway.ask("grpc", { method: "add", key, json: { memories: texts.map((text) => ({ text, vector: OWN })) } });
  return { key, ids: idsOf(body) };
};

beforeAll(async () => {
  stack = await Stack.start();
  // Every call without a credential comes from one address.
  gateway = await stack.startGateway({ MEMSEAL_RATE_FAILED_AUTH: "1000" });
});

afterAll(async () => {
  (await hoarding)?.calls.leave();
  await stack.stop();
});

describe.each(SHARED_METHODS)("%s", (method) => {
  it("without a credential is refused", async () => {
    await compare(() => ({ method, json: VALID[method] }), { code: "unauthenticated" });
  });

  it("with a credential that may do anything else is refused", async () => {
    const lacking = NEEDS[method] === "delegate" ? await stack.createKey("somebody", EVERYTHING) : await keyFor(method, EVERYTHING.filter((scope) => scope !== NEEDS[method]));
    await compare(() => ({ method, key: lacking, json: VALID[method] }), { code: "permission_denied" });
  });

  it("with a fault is refused by its path", async () => {
    const [json, field] = FAULTY[method];
    const key = await keyFor(method);
    await compare(() => ({ method, key, json }), { code: "invalid_argument", field });
  });

  it("as bytes that are no request is refused", async () => {
    const key = await keyFor(method);
    const answers = await compare(() => ({ method, key, json: hasBody(method) ? `{"text": "${CANARY}` : FAULTY[method][0], message: Buffer.from([0x0a, 0x7f, 0x41]) }), {
      code: "invalid_argument",
      field: { http: hasBody(method) ? "request" : FAULTY[method][1], grpc: "request" },
      ownWords: "JSON and protobuf are broken differently",
    });
    expect(JSON.stringify(answers)).not.toContain("zirconium");
  });

  it("beyond the rate is refused, and says when to come again", async () => {
    const slow = await slowGateway();
    const keys = await keysFor(method);
    for (const transport of TRANSPORTS) await slow.ask(transport, { method, key: keys[transport], json: VALID[method] });
    const { http } = await compare((transport) => ({ method, key: keys[transport], json: VALID[method] }), { code: "resource_exhausted", retryAfter: new RegExp(`^(${SLOW_S - 1}|${SLOW_S})$`), detail: /^too many (read|write|rerank) requests; try again later$/ }, slow);
    expect(http.headers?.["ratelimit"]).toMatch(/;r=0;t=\d+$/);
  });

  it("is refused when its deadline passes", async () => {
    const { at, whileItHangs } = await hangingIndexer();
    // Of these the key alone is an indexer's business.
    const keys = method.startsWith("rerank") ? await keysFor(method) : await known(await keysFor(method), at);
    await whileItHangs(() => compare((transport) => ({ method, key: keys[transport], json: VALID[method], headers: { "request-timeout-ms": "300" } }), { code: "deadline_exceeded", detail: "the deadline passed before the answer was ready" }, at));
  });
});

it.each(SHARED_METHODS.filter(hasBody))("%s of more than 8 MiB is refused", async (method) => {
  const key = await keyFor(method);
  const body = JSON.stringify(VALID[method]).padEnd(MAX_MESSAGE_BYTES + 1);
  await compare(() => ({ method, key, json: body, message: Buffer.alloc(MAX_MESSAGE_BYTES + 1) }), { code: "resource_exhausted", status: 413, ownWords: "grpc-js refuses it before there is a call" });
});

it.each(["add", "search", "searchStream", "list", "listByBody", "update", "deleteMany", "erase"] as const)("%s that names another user is refused", async (method) => {
  const key = await keyFor(method);
  await compare(() => ({ method, key, json: { ...VALID[method], user_id: "somebody else" } }), { code: "permission_denied", detail: "user_id is not the user of this credential; leave it out" });
});

it.each(["get", "history", "update", "delete"] as const)("%s of a foreign id is refused as that of an absent one", async (method) => {
  const [{ key }, { ids: [foreign] }] = [await userWith("mine"), await userWith("theirs")];
  for (const id of [ABSENT, foreign]) await compare(() => ({ method, key, json: { ...VALID[method], id } }), { code: "not_found", detail: "memory not found" });
});

it("erase of a user of whom nothing is stored is refused", async () => {
  const key = await keyFor("erase");
  await compare(() => ({ method: "erase", key }), { code: "not_found", detail: "user not found" });
});

let slow: Promise<Gateway> | undefined;
/** With rates that one request uses up. */
function slowGateway(): Promise<Gateway> {
  return (slow ??= stack.startGateway({ MEMSEAL_RATES_CREDENTIAL: SLOW, MEMSEAL_RATE_FAILED_AUTH: String(1 / SLOW_S) }));
}

it("a credential that is wrong once too often is refused before it is looked at, and says when to come again", async () => {
  const at = await slowGateway();
  const guess = (n: number): Ask => ({ method: "list", key: `msk_aaaaaaaaaaaa_${String(n).repeat(43)}` });
  expect(await at.ask("http", guess(0))).toMatchObject({ code: "unauthenticated" });
  await compare(() => guess(1), { code: "resource_exhausted", retryAfter: new RegExp(`^(${SLOW_S - 1}|${SLOW_S})$`), detail: "too many failed authentications; try again later" }, at);
});

let hoarding: Promise<{ key: string; calls: UnreadCalls }> | undefined;
/** A user who has asked for pages until no more were given, and reads none. */
function hoarder(): Promise<{ key: string; calls: UnreadCalls }> {
  return (hoarding ??= (async () => {
    // A page of them is nearly 1 MiB.
    const { key } = await userWith(...Array.from({ length: 22 }, (_, i) => `${i} ${"gate ".repeat(9_000)}`));
    const calls = new UnreadCalls(gateway.grpc, key);
    const { path, requestSerialize } = MemoryServiceService.list;
    // A refusal for another reason, such as a busy database, is none that lasts.
    for (let answer: Answer | undefined; !String(answer?.body["detail"]).includes("wait to be read");) {
      calls.ask(path, requestSerialize({ limit: 100, cursor: undefined, filters: undefined, userId: undefined }));
      await delay(100);
      answer = await gateway.ask("http", { method: "get", key, json: VALID.get });
    }
    return { key, calls };
  })());
}

// A delegate key's answers are small, and are no user's.
it.each(SHARED_METHODS.filter((method) => NEEDS[method] !== "delegate"))("%s is refused while answers to its user wait to be read, and says when to come again", async (method) => {
  const { key } = await hoarder();
  await compare(() => ({ method, key, json: VALID[method] }), { code: "resource_exhausted", retryAfter: "1", detail: "answers to this user wait to be read: read them or close their connections, then try again" });
});

interface Hanging {
  at: Gateway;
  whileItHangs<T>(work: () => Promise<T>): Promise<T>;
}
let hanging: Promise<Hanging> | undefined;
/** An indexer that can stand still, with a gateway of its own. */
function hangingIndexer(): Promise<Hanging> {
  return (hanging ??= (async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const indexer: ServiceProcess = await stack.startIndexer(address);
    return {
      at: await stack.startGateway({ MEMSEAL_INDEXER_ADDRESS: address }),
      async whileItHangs(work) {
        process.kill(indexer.pid, "SIGSTOP");
        try {
          return await work();
        } finally {
          process.kill(indexer.pid, "SIGCONT");
        }
      },
    };
  })());
}

/** Returns once so many transactions wait for a row. */
async function untilWaiting(count: number): Promise<void> {
  let waiting = 0;
  for (let tries = 0; tries < 200 && waiting < count; tries++) {
    // A transaction of its own each time: in one, it would see what it saw first.
    const [row] = await stack.database.asSuperuser<{ count: string }>("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
    waiting = Number(row.count);
    await delay(20);
  }
  expect(waiting).toBeGreaterThanOrEqual(count);
}

describe("a write that names itself", () => {
  const WRITES = ["add", "update", "delete", "deleteMany"] as const;
  const NAMED = { "idempotency-key": "order-66" };
  /** Of each write a user, what it asks, and what it could ask instead. */
  const worlds = async () => Promise.all(WRITES.map(async (method) => {
    const { key, ids: [one, other] } = await userWith("one", "two");
    const json: Record<typeof method, readonly [Json, Json]> = {
      add: [{ memories: [{ text: "three", vector: OWN, run_id: "r" }] }, { memories: [{ text: "four", vector: OWN, run_id: "r" }] }],
      update: [{ id: one, role: "a" }, { id: one, role: "b" }],
      delete: [{ id: one }, { id: other }],
      deleteMany: [{ ids: [one] }, { ids: [other] }],
    };
    const [first, another] = json[method].map((body): Ask => ({ method, key, json: body, headers: NAMED }));
    return { method, key, one, first, another };
  }));

  it("is refused while it is in flight, answered as the first time after, and refused with another body; nothing is done twice", async () => {
    const asked = await worlds();
    const late = await userWith("late");
    const firsts = await withClient(stack.database.superuser, async (client) => {
      await client.query("BEGIN");
      // Of these alone: maintenance, which waits for others as well, has nothing to do for them.
      await client.query("SELECT FROM memseal.tenant WHERE user_hash IN (SELECT user_hash FROM memseal.memory WHERE id = ANY ($1)) FOR UPDATE", [[...late.ids, ...asked.map(({ one }) => one)]]);
      const answers = asked.map(({ first }, i) => gateway.ask(TRANSPORTS[i % 2], first));
      await untilWaiting(asked.length);
      for (const { first } of asked) await compare(() => first, { code: "aborted", retryAfter: "1", detail: "a request with this idempotency key is in flight: wait for its answer" });
      // A write that waits for its turn, too, waits no longer than its caller.
      await compare(() => ({ method: "add", key: late.key, json: VALID.add, headers: { "request-timeout-ms": "300" } }), { code: "deadline_exceeded" });
      await client.query("COMMIT");
      return Promise.all(answers);
    });
    expect(firsts.map(({ code, isReplayed }) => ({ code, isReplayed }))).toEqual(asked.map(() => ({ code: "ok", isReplayed: false })));
    for (const [i, { method, key, first, another }] of asked.entries()) {
      const replayed = await compare(() => first, { code: "ok", ...(method === "add" ? { status: 201 } : {}) });
      for (const transport of TRANSPORTS) expect(replayed[transport]).toMatchObject({ isReplayed: true, body: firsts[i].body });
      await compare(() => another, { code: "already_exists", detail: "this idempotency key was used for another request: choose a new one" });
      expect((await gateway.ask("http", { method: "list", key })).body["results"]).toHaveLength({ add: 3, update: 2, delete: 1, deleteMany: 1 }[method]);
    }
  });

  it("of own vectors and texts to embed is known by the own vectors", async () => {
    const key = await keyFor("add");
    const own = Array<number>(384).fill(1);
    const add = (vector: number[]): Ask => ({ method: "add", key, json: { messages: [{ role: "a", content: "mine", vector }, { role: "b", content: "to embed" }], run_id: "r" }, headers: NAMED });
    expect(await gateway.ask("http", add(own))).toMatchObject({ code: "ok", isReplayed: false });
    const { grpc } = await compare(() => add(own), { code: "ok", status: 201 });
    expect(grpc.isReplayed).toBe(true);
    await compare(() => add([2, ...own.slice(1)]), { code: "already_exists" });
  });

  it("as nothing that a header can carry is refused", async () => {
    const key = await keyFor("add");
    await compare(() => ({ method: "add", key, json: VALID.add, headers: { "idempotency-key": "two words" } }), { code: "invalid_argument", field: "idempotency-key" });
  });
});

describe("a version that was read", () => {
  const IF_FIRST = { "if-match": '"1"' };

  it.each(["update", "delete"] as const)("and is no longer there is refused: %s", async (method) => {
    const { key, ids: [id] } = await userWith("one");
    await gateway.ask("http", { method: "update", key, json: { id, role: "a" } });
    await compare(() => ({ method, key, json: { ...VALID[method], id }, headers: IF_FIRST }), { code: "failed_precondition", detail: "the memory has version 2 by now: read it and decide again" });
    expect((await gateway.ask("http", { method: "get", key, json: { id } })).body).toMatchObject({ text: "one", version: 2 });
  });

  it.each(["update", "delete"] as const)("of no memory is refused as any absent one: %s", async (method) => {
    const { key } = await userWith("one");
    await compare(() => ({ method, key, json: VALID[method], headers: IF_FIRST }), { code: "not_found" });
  });

  it.each(["update", "delete"] as const)("is one version, of a number that there is: %s", async (method) => {
    const { key, ids: [id] } = await userWith("one");
    const json = { ...VALID[method], id };
    await compare(() => ({ method, key, json, headers: { "if-match": '"0"' } }), { code: "invalid_argument", field: "if_match" });
    for (const condition of ["*", "one", '"1", "2"', 'W/"1"']) expect(await gateway.ask("http", { method, key, json, headers: { "if-match": condition } })).toMatchObject({ status: 400, field: "if_match" });
  });
});

describe("a user who keeps as much as it may", () => {
  let small: Gateway;

  beforeAll(async () => {
    const address = `127.0.0.1:${await freePort()}`;
    await stack.startIndexer(address, { MEMSEAL_QUOTA_MEMORIES: "2", MEMSEAL_QUOTA_BYTES: "4000", MEMSEAL_MAX_TENANT_CHUNKS: "3" });
    small = await stack.startGateway({ MEMSEAL_INDEXER_ADDRESS: address });
  });

  it("stores no further memory, and no larger one, until there is room", async () => {
    const { key, ids: [id] } = await userWith("one", "two");
    await compare(() => ({ method: "add", key, json: VALID.add }), { code: "resource_exhausted", retryAfter: "60", detail: "this user may keep at most 2 memories: delete some first" }, small);
    await compare(() => ({ method: "update", key, json: { id, text: "a".repeat(5_000), vector: OWN } }), { code: "resource_exhausted", retryAfter: "60", detail: "this user's memories may take at most 4000 bytes, sealed: delete some first" }, small);
    await gateway.ask("http", { method: "delete", key, json: { id } });
    expect(await small.ask("http", { method: "add", key, json: VALID.add })).toMatchObject({ code: "ok" });
  });

  it("searches no more than an indexer holds", async () => {
    const { key } = await userWith("one", "two", "three", "four");
    for (const method of ["search", "searchStream"] as const) {
      await compare(() => ({ method, key, json: VALID[method] }), { code: "resource_exhausted", retryAfter: "60", detail: /^this user's memories make more than 3 searchable spans/ }, small);
    }
  });
});

describe("a user of whom more waits than may wait", () => {
  const refused = (what: string): Expected => ({ code: "resource_exhausted", retryAfter: "1", detail: `too many ${what}; try again` });
  const userOf = async (id: string) => (await stack.database.asSuperuser<{ user: string }>("SELECT encode(user_hash, 'hex') AS user FROM memseal.memory WHERE id = $1", [id]))[0].user;

  it("is refused further reads at once, and others are answered", async () => {
    const [{ key, ids: [id] }, other] = [await userWith("one"), await userWith("two")];
    const search = (by: string): Ask => ({ method: "search", key: by, json: VALID.search });
    for (const each of [key, other.key]) await gateway.ask("grpc", search(each));
    await stack.database.asSuperuser(`CREATE POLICY slow ON memseal.tenant AS RESTRICTIVE USING (user_hash <> '\\x${await userOf(id)}' OR pg_sleep(20)::text = '')`);
    // 8 at work, half of the indexer's connections, and 256 that wait.
    const asked = Array.from({ length: 280 }, (_ask, i) => gateway.ask(TRANSPORTS[i % 2], { ...search(key), headers: { "request-timeout-ms": "4000" } }));
    expect(await Promise.race(asked)).toMatchObject({ code: "resource_exhausted" });
    await compare(() => search(key), refused("calls of this user are waiting for the database"));
    await compare(() => search(other.key), { code: "ok" });
    const codes = (await Promise.all(asked)).map(({ code }) => code);
    expect(new Set(codes)).toEqual(new Set(["deadline_exceeded", "resource_exhausted"]));
    await stack.database.asSuperuser("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    await stack.database.asSuperuser("DROP POLICY slow ON memseal.tenant");
    expect(await gateway.ask("http", search(key))).toMatchObject({ code: "ok" });
  });

  it("is refused further writes at once, and those that wait are done", async () => {
    const { key, ids: [id] } = await userWith("one");
    const answers = await withClient(stack.database.superuser, async (client) => {
      await client.query("BEGIN");
      await client.query("SELECT FROM memseal.tenant WHERE user_hash = decode($1, 'hex') FOR UPDATE", [await userOf(id)]);
      // One that has its turn, and 256 that wait for it.
      const asked = Array.from({ length: 260 }, (_ask, i) => gateway.ask(TRANSPORTS[i % 2], { method: "add", key, json: { memories: [{ text: `note ${i}`, vector: OWN }] }, headers: { "request-timeout-ms": "30000" } }));
      expect(await Promise.race(asked)).toMatchObject({ code: "resource_exhausted" });
      await compare(() => ({ method: "add", key, json: VALID.add }), refused("writes of this user are waiting"));
      await client.query("COMMIT");
      return Promise.all(asked);
    });
    expect(answers.filter(({ code }) => code === "ok")).toHaveLength(257);
    expect(await storedTexts(gateway, key)).toHaveLength(258);
  });
});

describe("a memory that does not open", () => {
  it.each(["get", "history", "update"] as const)("is refused by its id alone, and its id is all that is said: %s", async (method) => {
    const { key, ids: [id] } = await userWith(CANARY);
    await stack.database.asSuperuser("UPDATE memseal.memory SET text_cipher = meta_cipher WHERE id = $1", [id]);
    const { http } = await compare(() => ({ method, key, json: method === "update" ? { id, role: "a" } : { id } }), { code: "data_loss", detail: `memory ${id} cannot be opened` });
    expect(Object.keys(http.body).sort()).toEqual(["code", "detail", "request_id", "status", "title", "type"]);
    await compare(() => ({ method: "search", key, json: VALID.search }), { code: "ok" });
  });
});

interface Case extends Expected {
  title: string;
  ask: () => Ask;
  /** For what the other transport has no word for. */
  only?: Transport;
}

/** Ada's vectors are the embedder's, Bob's his own. */
let ada: string;
let bob: string;
let adasId: string;
let bobsId: string;

/** The vectors' dimension of Ada's memories is the embedder's. */
const vectorOf = (dimension: number, value = 1) => Array<number>(dimension).fill(value);
const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
const message = (parts: Partial<NewMemory>) => ({ memories: [{ text: "a", tags: [], metadata: undefined, occurredAt: undefined, ...parts }], messages: [] });
const add = (memory: Json, parts?: Partial<NewMemory>) => (): Ask => ({
  method: "add",
  key: ada,
  json: { memories: [{ text: "a", ...memory }] },
  ...(parts ? { message: message(parts) } : {}),
});
const search = (parts: Json) => (): Ask => ({ method: "search", key: ada, json: { query: "q", ...parts } });
const searchMessage = (json: Json, filters: unknown) => (): Ask => ({
  method: "search", key: ada, json: { query: "q", filters: json }, message: { query: "q", explain: false, filters },
});

const CASES: Case[] = [
    { title: "an empty text", ask: add({ text: "" }), code: "invalid_argument", field: "memories[0].text" },
  { title: "a text that is too long", ask: add({ text: "😀".repeat(LIMITS.textCharacters + 1) }), code: "invalid_argument", field: "memories[0].text" },
  { title: "NUL in a text", ask: add({ text: `${CANARY}\0` }), code: "invalid_argument", field: "memories[0].text" },
  { title: "a lone surrogate in a text", ask: add({ text: `${CANARY}\ud800` }), code: "invalid_argument", field: "memories[0].text", only: "http" },
  { title: "an empty label", ask: add({ source: "" }), code: "invalid_argument", field: "memories[0].source" },
  { title: "a tag that is too long", ask: add({ tags: ["a", "b".repeat(LIMITS.tagCharacters + 1)] }), code: "invalid_argument", field: "memories[0].tags[1]" },
  { title: "too many tags", ask: add({ tags: Array.from({ length: LIMITS.tags + 1 }, (_, i) => `t${i}`) }), code: "invalid_argument", field: "memories[0].tags" },
  { title: "too much metadata", ask: add({ metadata: { a: "x".repeat(LIMITS.metadataBytes) } }), code: "invalid_argument", field: "memories[0].metadata" },
  { title: "metadata nested too deep", ask: add({ metadata: nested(LIMITS.jsonDepth + 1) }), code: "invalid_argument", field: { http: `memories[0].metadata${".a".repeat(LIMITS.jsonDepth)}`, grpc: "request" }, ownWords: "protobuf is refused as bytes" },
  { title: "a time out of range", ask: add({ occurred_at: "0000-12-31T23:59:59Z" }), code: "invalid_argument", field: "memories[0].occurred_at" },
  { title: "a vector of zeros", ask: add({ vector: vectorOf(384, 0) }), code: "invalid_argument", field: "memories[0].vector" },
  { title: "a vector with a value that is not finite", ask: () => ({ method: "add", key: ada, json: '{"memories":[{"text":"a","vector":[1e999]}]}', message: message({ vector: encodeVector(Float32Array.of(NaN)) as never }) }), code: "invalid_argument", field: "memories[0].vector" },
  { title: "vectors of another dimension than the user has", ask: add({ vector: [1, 2, 3] }), code: "invalid_argument", field: "memories[0].vector" },
  { title: "a query vector of another dimension than the user has", ask: search({ vector: [1, 2, 3] }), code: "invalid_argument", field: "vector" },
  { title: "a message's vector of another dimension than the user has", ask: () => ({ method: "add", key: bob, json: { messages: [{ role: "a", content: "b", vector: LONGER }], run_id: "r" } }), code: "invalid_argument", field: "messages[0].vector" },
  { title: "messages of which one has a vector of another dimension than the embedder makes", ask: () => ({ method: "add", key: ada, json: { messages: [{ role: "a", content: "b" }, { role: "a", content: "c", vector: OWN }], run_id: "r" } }), code: "invalid_argument", field: "messages[1].vector" },
  { title: "messages with vectors of two dimensions", ask: () => ({ method: "add", key: bob, json: { messages: [{ role: "a", content: "b", vector: OWN }, { role: "a", content: "c", vector: LONGER }], run_id: "r" } }), code: "invalid_argument", field: "messages[1].vector" },
  { title: "messages that make more than 200 chunks", ask: () => ({ method: "add", key: ada, json: { messages: Array(20).fill({ role: "a", content: "word and word ".repeat(3_500) }), run_id: "r" } }), code: "invalid_argument", field: "messages" },
  { title: "a new text that makes more than 200 chunks", ask: () => ({ method: "update", key: ada, json: { id: adasId, text: "\ud55c".repeat(LIMITS.textCharacters) } }), code: "invalid_argument", field: "text" },
  { title: "a vector without the text it is of", ask: () => ({ method: "update", key: bob, json: { id: ABSENT, role: "a", vector: OWN } }), code: "invalid_argument", field: "vector" },
  { title: "texts to embed of a user whose vectors are another's", ask: () => ({ method: "add", key: bob, json: { memories: [{ text: "to embed" }] } }), code: "already_exists", detail: /^this user's vectors are the callers' own, of 3 values/ },
  { title: "a new text to embed of a user whose vectors are another's", ask: () => ({ method: "update", key: bob, json: { id: bobsId, text: "to embed" } }), code: "already_exists", detail: /^this user's vectors are the callers' own, of 3 values/ },
  { title: "an end that has passed", ask: () => ({ method: "add", key: bob, json: { memories: [{ text: "a", vector: OWN, expires_at: "2001-01-01T00:00:00Z" }] } }), code: "invalid_argument", field: "memories[0].expires_at" },
  { title: "a key twice in one call", ask: () => ({ method: "add", key: bob, json: { memories: [{ text: "a", vector: OWN, key: "k" }, { text: "b", vector: OWN, key: "k" }] } }), code: "invalid_argument", field: "memories[1].key" },
  { title: "no memories", ask: () => ({ method: "add", key: ada, json: { memories: [] } }), code: "invalid_argument", field: "memories" },
  { title: "201 memories", ask: () => ({ method: "add", key: ada, json: { memories: Array(201).fill({ text: "a" }) }, message: { memories: Array(201).fill(message({}).memories[0]), messages: [] } }), code: "invalid_argument", field: "memories" },
  { title: "texts that make more than 200 chunks", ask: () => ({ method: "add", key: ada, json: { memories: Array(20).fill({ text: "word and word ".repeat(3_500) }) } }), code: "invalid_argument", field: "memories" },
  { title: "a blank query", ask: search({ query: " \n" }), code: "invalid_argument", field: "query" },
  { title: "a query that is too long", ask: search({ query: "q".repeat(LIMITS.queryCharacters + 1) }), code: "invalid_argument", field: "query" },
  { title: "top_k 0", ask: search({ top_k: 0 }), code: "invalid_argument", field: "top_k" },
  {
    title: "a filter on an unknown field",
    ask: searchMessage({ AND: [{ colour: "red" }] }, { kind: { $case: "and", value: { filters: [{ kind: { $case: "condition", value: { field: "colour", op: "eq", value: "red" } } }] } } }),
    code: "invalid_argument",
    field: { http: "filters.AND[0].colour", grpc: "filters.and.filters[0].condition.field" },
  },
  {
    title: "a filter with an operator that cannot be run",
    ask: searchMessage({ source: { regex: "x" } }, { kind: { $case: "condition", value: { field: "source", op: "regex", value: "x" } } }),
    code: "invalid_argument",
    field: { http: "filters.source.regex", grpc: "filters.condition.op" },
  },
  {
    title: "a filter with a value of the wrong type",
    ask: searchMessage({ tags: { contains: 7 } }, { kind: { $case: "condition", value: { field: "tags", op: "contains", value: 7 } } }),
    code: "invalid_argument",
    field: { http: "filters.tags.contains", grpc: "filters.condition.value" },
  },
  { title: "memories and messages in one call", ask: () => ({ method: "add", key: ada, json: { memories: [{ text: "a" }], messages: [{ role: "user", content: "a" }], run_id: "r" } }), code: "invalid_argument", field: "messages" },
  { title: "a threshold that is no cosine", ask: search({ threshold: 1.5 }), code: "invalid_argument", field: "threshold" },
  { title: "an unknown field", ask: () => ({ method: "list", key: ada, json: { colour: "red" } }), code: "invalid_argument", field: "colour", only: "http" },
  { title: "an unknown field in a memory", ask: add({ colour: "red" }), code: "invalid_argument", field: "memories[0].colour", only: "http" },
  { title: "a value of the wrong type", ask: add({ text: 7 }), code: "invalid_argument", field: "memories[0].text", only: "http" },
  { title: "a member named __proto__", ask: () => ({ method: "add", key: ada, json: '{"memories":[{"text":"a","metadata":{"__proto__":{"admin":true}}}]}' }), code: "invalid_argument", field: "request", only: "http" },
  { title: "a timeout that is no number", ask: () => ({ method: "list", key: ada, headers: { "request-timeout-ms": "soon" } }), code: "invalid_argument", field: "request-timeout-ms" },
  { title: "a credential that is no key", ask: () => ({ method: "list", key: "msk_nonsense" }), code: "unauthenticated" },
  { title: "a key that does not exist, before it says anything about the request", ask: () => ({ method: "get", key: `msk_AAAAAAAAAAAA_${"A".repeat(43)}`, json: { id: "7" } }), code: "unauthenticated" },
];

describe("a request with a fault", () => {
  beforeAll(async () => {
    [ada, bob] = [await stack.createKey("ada-7731"), await stack.createKey("bob-7732")];
    [adasId] = idsOf((await gateway.ask("http", { method: "add", key: ada, json: { memories: [{ text: "Ada writes programs." }] } })).body);
    [bobsId] = idsOf((await gateway.ask("http", { method: "add", key: bob, json: { memories: [{ text: CANARY, vector: OWN }] } })).body);
  });

  it.each(CASES)("is answered alike over both transports: $title", async ({ ask, only, ...expected }) => {
    if (only === undefined) await compare(ask, expected);
    else expect(await gateway.ask(only, ask())).toMatchObject({ code: expected.code, field: expected.field });
  });

  it("is stored in no part", async () => {
    for (const key of [ada, bob]) expect((await gateway.ask("http", { method: "list", key })).body["results"]).toHaveLength(1);
  });

  it("in a field that protobuf does not know is ignored over gRPC, as proto3 does", async () => {
    // Field 15, a varint.
    expect((await gateway.ask("grpc", { method: "list", key: ada, message: Buffer.from([0x78, 0x01]) })).code).toBe("ok");
  });

  it.each(SHARED_METHODS)("of a field that is not known is refused over HTTP, where there is a body or a query: %s", async (method) => {
    if (["get", "history", "delete", "getErasure"].includes(method)) return;
    const key = await keyFor(method);
    expect(await gateway.ask("http", { method, key, json: { ...VALID[method], colour: "red" } })).toMatchObject({ status: 400, field: "colour" });
  });
});

/** What both transports do to a user each, in this order: each step starts from where the one before left the user. */
interface World {
  key: string;
  delegate: string;
  ids: string[];
  cursor: string;
  erasure: string;
}

const GOOD: { title: string; status?: number; ask: (world: World) => Ask; after?: (world: World, answer: Answer) => void }[] = [
  {
    title: "memories are added",
    status: 201,
    ask: ({ key }) => ({ method: "add", key, headers: { "idempotency-key": "a" }, json: { memories: [
      { text: "She is allergic to walnuts.", key: "profile", agent_id: "helper", source: "intake", tags: ["health", "health"], metadata: { stars: 4, deep: [null, { a: 1.5 }] }, occurred_at: "2023-05-08T15:56:00+02:00" },
      { text: "The bike is in the garage.", occurred_at: "2023-05-09T00:00:00Z", expires_at: "2127-01-01T00:00:00Z" },
    ] } }),
    after: (world, { body }) => { world.ids = idsOf(body); },
  },
  { title: "they are not added again", status: 201, ask: ({ key }) => ({ method: "add", key, json: { memories: [{ text: "The bike is in the garage.", occurred_at: "2023-05-09T00:00:00Z", expires_at: "2127-01-01T00:00:00Z" }] } }) },
  {
    title: "messages are added",
    status: 201,
    ask: ({ key }) => ({ method: "add", key, json: { messages: [{ role: "user", content: "I moved to Lisbon.", occurred_at: "2023-06-01T00:00:00Z" }, { role: "assistant", content: "How is it?", occurred_at: "2023-06-01T00:00:01Z", metadata: { m: 1 } }], run_id: "r", agent_id: "helper" } }),
  },
  { title: "a search", ask: ({ key }) => ({ method: "search", key, json: { query: "Which food must she avoid?", explain: true, top_k: 3, decay: { half_life_days: 36_500 }, filters: { NOT: { "metadata.none": 1 } } } }) },
  { title: "a search by words", ask: ({ key }) => ({ method: "search", key, json: { query: "walnuts", mode: "lexical", rerank: false, context: false, as_of: "2023-05-08T23:00:00Z" } }) },
  { title: "a search in steps", ask: ({ key }) => ({ method: "searchStream", key, json: { query: "Which food must she avoid?", top_k: 2 } }) },
  { title: "one memory", ask: ({ key, ids }) => ({ method: "get", key, json: { id: ids[0] } }) },
  { title: "a page", ask: ({ key }) => ({ method: "list", key, json: { limit: "3" } }), after: (world, { body }) => { world.cursor = String(body["next_cursor"]); } },
  { title: "the last page", ask: ({ key, cursor }) => ({ method: "list", key, json: { limit: "3", cursor } }) },
  { title: "a page by filter", ask: ({ key }) => ({ method: "listByBody", key, json: { limit: 5, filters: { OR: [{ source: "intake" }, { run_id: "r" }] } } }) },
  { title: "a change", ask: ({ key, ids }) => ({ method: "update", key, headers: { "if-match": '"1"', "idempotency-key": "u" }, json: { id: ids[0], text: "She is allergic to walnuts and hazelnuts.", source: null, tags: ["food"] } }) },
  { title: "the change again", ask: ({ key, ids }) => ({ method: "update", key, headers: { "if-match": '"1"', "idempotency-key": "u" }, json: { id: ids[0], text: "She is allergic to walnuts and hazelnuts.", source: null, tags: ["food"] } }) },
  { title: "a history", ask: ({ key, ids }) => ({ method: "history", key, json: { id: ids[0] } }) },
  { title: "a deletion that is only counted", ask: ({ key }) => ({ method: "deleteMany", key, json: { filters: { run_id: "r" }, dry_run: true } }) },
  { title: "a deletion of many", ask: ({ key }) => ({ method: "deleteMany", key, json: { key: "none" } }) },
  { title: "a deletion of one version", ask: ({ key, ids }) => ({ method: "delete", key, headers: { "if-match": '"2"' }, json: { id: ids[0] } }) },
  { title: "what was done", ask: ({ key }) => ({ method: "listAudit", key, json: { limit: "2" } }) },
  { title: "an order of documents", ask: ({ key }) => ({ method: "rerank", key, json: { query: "Which food must she avoid?", documents: ["walnuts", "rain"], return_documents: true } }) },
  { title: "an order of documents at the other path", ask: ({ key }) => ({ method: "rerankV2", key, json: { query: "Which food must she avoid?", documents: ["rain", "walnuts"], top_n: 1 } }) },
  { title: "a token", status: 201, ask: ({ delegate }) => ({ method: "createToken", key: delegate, json: { user_id: "ann", scopes: ["read"], ttl_s: 60 } }) },
  { title: "an erasure", ask: ({ key }) => ({ method: "erase", key, headers: { "idempotency-key": "e" } }), after: (world, { body }) => { world.erasure = String(body["id"]); } },
  { title: "the erasure again", ask: ({ key }) => ({ method: "erase", key, headers: { "idempotency-key": "e" }, json: {} }) },
  { title: "its receipt", ask: ({ key, erasure }) => ({ method: "getErasure", key, json: { id: erasure } }) },
];

describe("a request without a fault", () => {
  const worlds = {} as Record<Transport, World>;

  beforeAll(async () => {
    for (const transport of TRANSPORTS) worlds[transport] = { key: await keyFor("erase"), delegate: await keyFor("createToken"), ids: [], cursor: "", erasure: "" };
  });

  it.each(GOOD)("is answered alike over both transports: $title", async ({ ask, status, after }) => {
    const answers = await compare((transport) => ask(worlds[transport]), { code: "ok", ...(status === undefined ? {} : { status }) });
    for (const transport of TRANSPORTS) after?.(worlds[transport], answers[transport]);
  });

  it("needs no body where nothing is to be said: an erasure", async () => {
    const { key } = await userWith("one");
    const response = await gateway.fetch("/v1/erasures", { method: "POST", headers: { authorization: `Bearer ${key}` } });
    expect({ status: response.status, receipt: await response.json() }).toMatchObject({ status: 200, receipt: { memories: 1, signed: expect.stringMatching(/^[^.]+\.[^.]+\.[^.]+$/) as string } });
  });

  it("over gRPC alone, a stream of scores, is answered, and refused", async () => {
    const key = await keyFor("rerankStream");
    for (const [json, code] of [[VALID.rerankStream, "ok"], [FAULTY.rerankStream[0], "invalid_argument"]] as const) {
      expect(await gateway.ask("grpc", { method: "rerankStream", key, json })).toMatchObject({ code });
      comparison.note("rerankStream", code);
    }
  });
});

describe("while the database is away", () => {
  const AWAY: Expected = { code: "unavailable", retryAfter: "1", detail: "the database cannot be reached; try again, nothing acknowledged is lost" };

  it("every call is refused and says when to come again; what was acknowledged is there when it is back, once", async () => {
    const writer = await keyFor("add");
    const { key: reader, ids } = await userWith("a lighthouse", "a harbour");
    const writes = new Writes(writer);
    await writes.reached(20);
    // Known to the gateway, so that the call itself finds the database away; of a reranking the key alone needs it.
    const keys = await Promise.all(SHARED_METHODS.map(async (method) => (method.startsWith("rerank") ? keysFor(method) : known(await keysFor(method), gateway))));
    await stack.database.whileAway(async () => {
      for (const [i, method] of SHARED_METHODS.entries()) await compare((transport) => ({ method, key: keys[i][transport], json: VALID[method] }), AWAY);
    });
    await writes.reached(writes.acknowledged.length + 20);
    await writes.stop();
    expect([...writes.refusals]).toEqual(expect.arrayContaining(["unavailable"]));
    expect((await storedTexts(gateway, writer)).sort()).toEqual([...writes.acknowledged].sort());
    expect(idsOf((await gateway.ask("http", { method: "list", key: reader })).body).sort()).toEqual([...ids].sort());
    expect((await gateway.ask("http", { method: "search", key: reader, json: { query: "lighthouse", vector: OWN } })).body).toMatchObject({ total_matching: 2, integrity_failures: 0 });
  });
});

/** One user's writes, one after the other over either transport, each sent again under its key until it is acknowledged. */
class Writes {
  readonly acknowledged: string[] = [];
  /** Codes of what was not. */
  readonly refusals = new Set<string>();
  #isStopping = false;
  readonly #running: Promise<void>;

  constructor(private readonly key: string) {
    this.#running = this.#run();
  }

  async reached(count: number): Promise<void> {
    while (this.acknowledged.length < count) await delay(20);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let n = 0; !this.#isStopping; n++) {
      const text = `note ${n}`;
      const ask: Ask = { method: "add", key: this.key, json: { memories: [{ text, run_id: "r", vector: OWN }] }, headers: { "idempotency-key": `n${n}` } };
      for (let tries = 0; this.acknowledged.length === n; tries++) {
        const { code } = await gateway.ask(TRANSPORTS[tries % 2], ask);
        if (code === "ok") this.acknowledged.push(text);
        else {
          this.refusals.add(code);
          await delay(20);
        }
      }
    }
  }
}

describe("the table", () => {
  it("has every call of the document and of the contract, once answered and once refused", async () => {
    const { paths } = (await (await gateway.fetch("/docs/openapi.json")).json()) as { paths: Record<string, Record<string, { operationId: string; security: unknown[] }>> };
    const operations = Object.values(paths).flatMap((verbs) => Object.values(verbs)).filter(({ security }) => security.length > 0).map(({ operationId }) => operationId);
    const { compared } = comparison;
    expect(operations.length).toBeGreaterThan(10);
    expect(compared).toEqual(Object.fromEntries([...operations, "rerankStream"].map((method) => [method, ["failure", "success"]])));
    expect(new Set(Object.keys(compared).map((method) => grpcPathOf(method as Method)))).toEqual(new Set(Object.values(MemoryServiceService).map(({ path }) => path)));
  });
});
