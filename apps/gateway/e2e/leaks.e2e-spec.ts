import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SignJWT } from "jose";
import { TRANSPORTS, type Answer, type Ask, type Gateway, type Transport } from "./gateway.js";
import { HeapDumps } from "./heap-dumps.js";
import { filesUnder, LeakScan, type Needle } from "./leak-scan.js";
import { OtlpReceiver } from "./otlp-receiver.js";
import { Stack } from "./stack.js";

/*
 * What was said, by whom and with which key is looked for wherever an installation leaves something behind, in the encodings of
 * leak-scan.ts, after every kind of call and failure. In each place something else was planted on purpose, and must be found there.
 * docs/adr/0025 says what no place here shows.
 */

const VECTOR = Float32Array.from({ length: 384 }, (_value, i) => Math.fround(Math.sin(i * 12.9898) * 0.043758));
const LENGTH = Math.sqrt(VECTOR.reduce((sum, value) => sum + value * value, 0));
const TEXT = "zirconium-walnut-7719, a quorvimblath, is what she hides in Zoë's attic";
const QUERY = "marzipan-query-6644 in the tarnoquibbl attic";
const MEMORY = {
  text: TEXT, tags: ["thistle-tag-3307"], metadata: { note: "biscuit-metadata-5591", "hedgehog-field-9082": ["lantern-item-2246"] },
  run_id: "ferry-run-7765", agent_id: "ivory-agent-5508", role: "velvet-role-9021", source: "marble-source-3341",
};
const KEY = "copper-key-1923";
const IDEMPOTENCY_KEY = "juniper-request-8817";
const USERS = { user: "ottoline-8823@example.org", otherUser: "quillfeather-4410@example.org", delegatedUser: "saffron-6170@example.org", jwtUser: "periwinkle-2095@example.org" };

/** Must never be found where it was not asked for. Credentials are added once they are made. */
const said: Record<string, Needle> = {
  text: TEXT, "start of the text": "zirconium-walnut-7719", "end of the text": "she hides in Zoë's attic", query: QUERY, "start of the query": "marzipan-query-6644",
  "word of the text": "quorvimblath", "word of the query": "tarnoquibbl",
  tag: MEMORY.tags[0], metadata: MEMORY.metadata.note, "name in metadata": "hedgehog-field-9082", "item in metadata": "lantern-item-2246",
  run: MEMORY.run_id, agent: MEMORY.agent_id, role: MEMORY.role, source: MEMORY.source, key: KEY, "idempotency key": IDEMPOTENCY_KEY, ...USERS,
  vector: VECTOR.subarray(16, 24), "end of the vector": VECTOR.subarray(370, 378),
  // As an index keeps it.
  "unit vector": VECTOR.map((value) => value / LENGTH).subarray(16, 24),
};
/** Planted on purpose, one a place. */
const PLANTED = {
  log: "planted-in-the-log-4471", process: "planted-in-metrics-and-memory-5582", table: "planted-in-a-table-6693", wal: "planted-in-the-wal-7704", "server log": "planted-in-the-server-log-8815",
  // As many bytes as the id of a trace.
  trace: "planted-trace-44",
};

const dumps = new HeapDumps();
let traces: OtlpReceiver;
let stack: Stack;
/** That what was said goes through; another has the last calls of all. */
let gateway: Gateway;
let otherGateway: Gateway;
let key: string;
let delegateKey: string;
let jwt: string;
let scan: LeakScan;
const failures: { what: string; answer: Answer }[] = [];

beforeAll(async () => {
  const issuer = generateKeyPairSync("ed25519");
  traces = await OtlpReceiver.start();
  const tracing = { MEMSEAL_OTLP_URL: traces.url, OTEL_BSP_SCHEDULE_DELAY: "500" };
  stack = await Stack.start({
    gateway: { ...tracing, MEMSEAL_TRACE_SHARE: "1" },
    indexer: { ...tracing, ...dumps.env("indexer", PLANTED.process), MEMSEAL_INDEX_CACHE_BYTES: "1000000" },
    reranker: { ...tracing, ...dumps.env("reranker", PLANTED.process) },
  });
  writeFileSync(join(stack.database.dir, "issuer.pem"), issuer.publicKey.export({ type: "spki", format: "pem" }));
  const issuers = join(stack.database.dir, "issuers.json");
  writeFileSync(issuers, JSON.stringify({ issuers: [{ issuer: "https://id.example", audience: "memseal", public_key_file: "issuer.pem", namespace: "jwt", max_scopes: ["read", "write"] }] }));
  [gateway, otherGateway] = await Promise.all([stack.startGateway({ ...dumps.env("gateway", PLANTED.process), MEMSEAL_ISSUERS_FILE: issuers }), stack.startGateway()]);
  key = await stack.createKey(USERS.user);
  delegateKey = await stack.createDelegateKey("shop");
  jwt = await new SignJWT({ iss: "https://id.example", aud: "memseal", sub: USERS.jwtUser, scope: "read write" }).setProtectedHeader({ alg: "EdDSA" }).setExpirationTime("1 h").sign(issuer.privateKey);
  Object.assign(said, { "API key": key, "secret of the API key": Buffer.from(key.slice(-43), "base64url"), "delegate key": delegateKey.slice(-43), JWT: jwt.slice(-43) });
  scan = new LeakScan({ ...said, ...PLANTED });
});
afterAll(async () => {
  await stack.stop();
  traces.stop();
  dumps.remove();
});

/** The secrets of the services, by their files. */
const secrets = () => Object.fromEntries(["root.key", "tenant.secret", "api-key.pepper", "assertion.pem"].map((name) => {
  const content = readFileSync(join(stack.database.dir, name));
  // Of the PEM the key alone: its last 32 bytes.
  return [name, name.endsWith(".pem") ? createPrivateKey(content).export({ type: "pkcs8", format: "der" }).subarray(-32) : content];
}));
const namesIn = (found: Set<string>) => [...found].sort();
/** What must not be there, of what was found. */
const leaksIn = (found: Set<string>) => namesIn(found).filter((name) => name in said);

/** Polls: what a process wrote arrives some time later, and a killed server is away for a while. */
async function eventually(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let again = 0; again < 100 && !(await isSo()); again++) await delay(100);
}

/** Every call that stores, changes or asks something. */
async function sayEverything(transport: Transport, round = "1"): Promise<void> {
  const ok = async (ask: Ask) => {
    const answer = await gateway.ask(transport, { key, ...ask });
    expect({ ask: ask.method, code: answer.code }).toEqual({ ask: ask.method, code: "ok" });
    return answer;
  };
  const memories = [{ ...MEMORY, key: KEY, vector: [...VECTOR] }, MEMORY];
  const added = await ok({ method: "add", json: { memories }, headers: { "idempotency-key": `${IDEMPOTENCY_KEY}-${transport}-${round}` } });
  const [{ id }] = added.body["results"] as { id: string }[];
  const filters = { tags: { contains: MEMORY.tags[0] }, "metadata.note": { eq: MEMORY.metadata.note } };
  for (const ask of [
    { method: "search", json: { query: QUERY } },
    { method: "search", json: { query: TEXT, explain: true, filters, vector: [...VECTOR] } },
    { method: "searchStream", json: { query: TEXT } },
    { method: "rerank", json: { query: QUERY, documents: [TEXT, "another"], return_documents: true } },
    { method: "get", json: { id } },
    { method: "list", json: {} },
    { method: "listByBody", json: { filters } },
    { method: "update", json: { id, text: `${TEXT}, still`, vector: [...VECTOR] } },
    { method: "history", json: { id } },
  ] as const) {
    const answer = await ok(ask);
    // The owner's answers hold it: the scan would find it.
    expect(namesIn(scan.inText(JSON.stringify(answer.body)))).toEqual(expect.arrayContaining(["start of the text", "end of the text"]));
  }
  await ok({ method: "deleteMany", json: { filters: { key: { eq: KEY } } } });
  const { body } = await ok({ method: "createToken", key: delegateKey, json: { user_id: USERS.delegatedUser, scopes: ["read", "write"], ttl_s: 60 } });
  for (const credential of [String(body["token"]), jwt]) {
    await ok({ method: "add", key: credential, json: { memories } });
    await ok({ method: "search", key: credential, json: { query: QUERY } });
  }
}

describe("what was said, by whom and with which key", () => {
  it.each(TRANSPORTS)("is answered to its owner over %s: the scan finds it there", (transport) => sayEverything(transport));

  it("is refused in every way there is", async () => {
    const expectCode = async (what: string, codes: readonly string[], ask: Ask) => {
      for (const transport of TRANSPORTS) {
        const answer = await gateway.ask(transport, { key, ...ask });
        expect({ what, transport, code: answer.code }).toEqual({ what, transport, code: codes.includes(answer.code) ? answer.code : codes.join(" or ") });
        failures.push({ what: `${what} over ${transport}`, answer });
      }
    };
    await expectCode("400", ["invalid_argument"], { method: "add", json: { memories: [{ text: TEXT, tags: [`${MEMORY.tags[0]}\0`] }] } });
    await expectCode("400 of a query", ["invalid_argument"], { method: "search", json: { query: QUERY.repeat(200), filters: { "metadata.note": { eq: MEMORY.metadata.note } } } });
    await expectCode("401", ["unauthenticated"], { method: "search", json: { query: QUERY }, key: `${key.slice(0, -4)}AAAA` });
    await expectCode("401 of no key at all", ["unauthenticated"], { method: "search", json: { query: QUERY }, key: "zirconium-walnut-7719" });
    await expectCode("401 of a JWT", ["unauthenticated"], { method: "search", json: { query: QUERY }, key: `${jwt.slice(0, -4)}AAAA` });
    await expectCode("403", ["permission_denied"], { method: "search", json: { query: QUERY, user_id: USERS.otherUser } });
    await expectCode("404", ["not_found"], { method: "get", json: { id: "01900000-0000-7000-8000-000000000000" } });
    await expectCode("409", ["already_exists"], { method: "add", json: { memories: [{ ...MEMORY, text: `${TEXT}!` }] }, headers: { "idempotency-key": `${IDEMPOTENCY_KEY}-http-1` } });
    await expectCode("413", ["resource_exhausted"], { method: "add", json: { memories: [{ text: TEXT.repeat(250_000) }] } });
    const { body } = await gateway.ask("http", { method: "add", key, json: { memories: [MEMORY] } });
    const [{ id }] = body["results"] as { id: string }[];
    await stack.database.asSuperuser("UPDATE memseal.memory SET text_cipher = meta_cipher WHERE id = $1", [id]);
    await expectCode("500", ["data_loss"], { method: "get", json: { id } });
    await gateway.ask("http", { method: "delete", key, json: { id } });
    await stack.killReranker();
    await expectCode("503 of the embedder", ["unavailable"], { method: "add", json: { memories: [MEMORY] } });
    await stack.startReranker();
    process.kill(stack.database.server.pid!, "SIGKILL");
    await expectCode("503 of the database", ["unavailable", "ok"], { method: "list", json: {} });
    await eventually(async () => (await gateway.ask("http", { method: "list", key })).code !== "unavailable");
    const authorization = `Bearer ${key}`;
    expect((await gateway.fetch(`/v1/memories?hedgehog-field-9082=${encodeURIComponent(TEXT)}`, { headers: { authorization, "x-request-id": `${USERS.user} ${TEXT}` } })).status).toBe(400);
    expect((await gateway.fetch(`/v1/${encodeURIComponent(TEXT)}`, { headers: { authorization } })).status).toBe(404);
  });

  it("is in no refusal, but for the names that its own caller chose", () => {
    for (const { what, answer } of failures.filter(({ answer: { code } }) => code !== "ok")) expect({ what, leaks: leaksIn(scan.inText(JSON.stringify(answer))) }).toEqual({ what, leaks: [] });
  });

  it("is in no line that any process wrote", async () => {
    await gateway.fetch("/v1/nothing", { headers: { "x-request-id": PLANTED.log } });
    await eventually(() => stack.output.includes(PLANTED.log));
    for (const event of ["request", "call", "request failed"]) expect(stack.output).toContain(`"event":"${event}"`);
    expect(namesIn(scan.inText(stack.output))).toEqual(["log"]);
  });

  it("is in no metric of any process", async () => {
    const shown = await stack.metrics(gateway);
    for (const name of ["memseal_requests_total", "memseal_calls_total", "memseal_cross_tenant_reached_total"]) expect(shown.join("\n")).toContain(name);
    expect(shown.join("\n")).toMatch(/memseal_cross_tenant_refused_total\{where="user_id",.*\} 2/);
    for (const metrics of shown) expect(namesIn(scan.inText(metrics))).toEqual(["process"]);
  });

  it("is in no span that any process sent", async () => {
    const traceparent = `00-${Buffer.from(PLANTED.trace).toString("hex")}-b7ad6b7169203331-01`;
    const carried = { traceparent, tracestate: `vendor=${MEMORY.run_id}`, baggage: `user=${encodeURIComponent(USERS.user)}` };
    expect((await otherGateway.ask("http", { method: "list", headers: carried })).code).toBe("unauthenticated");
    const sent = () => traces.bodies.join("\n");
    await eventually(() => scan.inText(sent()).has("trace"));
    for (const service of ["gateway", "indexer", "reranker"]) expect(traces.spans.filter((span) => span.service === `memseal-${service}`).length).toBeGreaterThan(20);
    expect(namesIn(scan.inText(sent()))).toEqual(["trace"]);
  });

  it("is in no table, and in no file of the database, its WAL and its log", async () => {
    const { database } = stack;
    const tables = await database.asSuperuser<{ name: string }>("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'memseal'");
    expect(tables.length).toBeGreaterThan(10);
    let rows = 0;
    for (const { name } of tables) {
      const dump = await database.asSuperuser<{ row: string }>(`SELECT t::text AS row FROM memseal."${name}" AS t`);
      rows += dump.length;
      expect({ name, found: namesIn(scan.inText(dump.map(({ row }) => row).join("\n"))) }).toEqual({ name, found: [] });
    }
    expect(rows).toBeGreaterThan(10);

    // In three encodings, as a mistake could write it.
    await database.asSuperuser(`CREATE TABLE public.planted AS SELECT '${PLANTED.table}'::text AS value`);
    await database.asSuperuser(`SELECT pg_logical_emit_message(false, 'planted', '${Buffer.from(`x${PLANTED.wal}`).toString("base64")}')`);
    await database.asSuperuser(`DO $$ BEGIN RAISE LOG '${Buffer.from(PLANTED["server log"]).toString("hex")}'; END $$`);
    await database.asSuperuser("CHECKPOINT");
    // The binaries were there before anything was said.
    const files = filesUnder(database.dir).filter((file) => !file.includes("/binaries/"));
    expect(files.length).toBeGreaterThan(500);
    const found = [...scan.inFiles(files)];
    expect(found.filter(([, names]) => leaksIn(names).length > 0)).toEqual([]);
    const filesWith = (planted: string) => found.filter(([, names]) => names.has(planted)).map(([file]) => file.slice(database.dir.length));
    expect(filesWith("table")).toEqual(expect.arrayContaining([expect.stringMatching(/^\/data\/base\//), expect.stringMatching(/^\/data\/pg_wal\//)]));
    expect(filesWith("wal")).toEqual([expect.stringMatching(/^\/data\/pg_wal\//)]);
    expect(filesWith("server log")).toEqual(["/postgres.log"]);
  });

  it("and the secrets of the services are in no file but their own", () => {
    const found = new LeakScan(secrets()).inFiles(filesUnder(stack.database.dir));
    expect([...found].map(([file, names]) => [basename(file), ...names]).sort()).toEqual(Object.keys(secrets()).map((name) => [name, name]).sort());
  });
});

describe("an idle service", () => {
  beforeAll(async () => {
    // Connections that ended while the scans held this thread are noticed first.
    await delay(100);
    for (const transport of TRANSPORTS) await sayEverything(transport, "2");
    // Tenants of others push those indexes out. They come through another gateway and ask no model, whose last calls stay those above.
    for (const user of ["first", "second"]) {
      const other = await stack.createKey(user);
      const memories = Array.from({ length: 120 }, (_memory, n) => ({ text: `filler ${n}`, vector: Array.from({ length: 1_024 }, () => Math.random() - 0.5) }));
      expect((await otherGateway.ask("http", { method: "add", key: other, json: { memories } })).code).toBe("ok");
      expect(await otherGateway.ask("http", { method: "search", key: other, json: { query: "filler", mode: "lexical", rerank: false } })).toMatchObject({ code: "ok", body: { total_matching: 120 } });
    }
    await delay(2_000);
  });

  it.each([
    { service: "gateway", atLeast: 1, needs: ["api-key.pepper", "tenant.secret"] },
    { service: "indexer", atLeast: 1, needs: [] },
    // The main thread, and one each for embeddings, pairs and scores.
    { service: "reranker", atLeast: 4, needs: [] },
  ])("$service holds none of it, and no secret that it does not need: in no string of its heap and no buffer", async ({ service, atLeast, needs }) => {
    const taken = await dumps.take(service);
    expect(taken.length).toBeGreaterThanOrEqual(atLeast);
    const secretScan = new LeakScan(secrets());
    for (const { thread, strings, buffersFile } of taken) {
      const found = { strings: namesIn(scan.inText(strings)), secretStrings: namesIn(secretScan.inText(strings)), buffers: namesIn(scan.inFile(buffersFile)), secretBuffers: namesIn(secretScan.inFile(buffersFile)) };
      expect({ thread, ...found }).toEqual({ thread, strings: ["process"], secretStrings: [], buffers: ["process"], secretBuffers: needs });
    }
  });
});
