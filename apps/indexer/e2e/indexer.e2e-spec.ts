import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { MethodDefinition } from "@grpc/grpc-js";
import { ASSERTION_KEY, METHOD_CLASSES, type MethodClass } from "@memseal/auth";
import { encodeVector, IndexerServiceService as Indexer, type PutMemory, type SearchResponse } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { createApiKey } from "@memseal/storage";
import { unary } from "@memseal/transport";
import { freePort, runToExit } from "@memseal/transport/testing";
import { service as healthService } from "grpc-health-check";
import { createIndexerWorld, INDEXER_SCRIPT, newTenant, type IndexerWorld, type RunningIndexer } from "./start-indexer.js";

const DIMENSION = 8;
let world: IndexerWorld;
let indexer: RunningIndexer;

beforeAll(async () => {
  world = await createIndexerWorld();
  indexer = await world.start();
});

afterAll(async () => {
  await indexer.process.kill("SIGTERM");
  await world.database.stop();
});

/** A unit vector along one axis, or a random one. */
function vector(axis?: number): Float32Array {
  return Float32Array.from({ length: DIMENSION }, (_v, i) => (axis === undefined ? Math.random() - 0.5 : i === axis ? 1 : 0));
}

function memory(text: string, fields: Partial<PutMemory> = {}): PutMemory {
  return { text, tags: [], metadata: undefined, occurredAt: undefined, chunks: [{ start: 0, end: Array.from(text).length, vector: encodeVector(vector()) }], ...fields };
}

const put = async (tenant: UserHash, memories: PutMemory[], at = indexer) => (await at.call(Indexer.put, "write", tenant, { memories, model: "test" })).results;
const search = (tenant: UserHash, query: string, fields: { vector?: Float32Array; tag?: string } = {}, at = indexer): Promise<SearchResponse> =>
  at.call(Indexer.search, "read", tenant, {
    query,
    vector: fields.vector && encodeVector(fields.vector),
    filters: fields.tag === undefined ? undefined : { kind: { $case: "condition", value: { field: "tags", op: "contains", value: fields.tag } } },
    candidates: 50,
  });
const found = (response: SearchResponse) => response.candidates.map(({ memory: m }) => m!.text);

describe("memories", () => {
  it("come back as they were given: text, speaker, tags, metadata and times", async () => {
    const tenant = newTenant();
    const [added] = await put(tenant, [memory("Grüße 🦉 from the café", {
      agentId: "planner", role: "Maya", source: "chat", tags: ["trip", "food"],
      metadata: { nested: { list: [1, "two", null, true] } }, occurredAt: { seconds: 1_700_000_000n, nanos: 123_000_000 },
    })]);
    const got = await indexer.call(Indexer.get, "read", tenant, { id: added.id });
    expect(got).toMatchObject({
      id: added.id, text: "Grüße 🦉 from the café", agentId: "planner", role: "Maya", source: "chat", tags: ["trip", "food"],
      metadata: { nested: { list: [1, "two", null, true] } }, occurredAt: { seconds: 1_700_000_000n, nanos: 123_000_000 }, version: 1,
    });
    expect(got.createdAt).toEqual(added.createdAt);
  });

  it("are searched by words and by meaning, filtered by tag and source, deleted at once", async () => {
    const tenant = newTenant();
    const [walnuts] = await put(tenant, [
      memory("She is allergic to walnuts", { tags: ["health"], source: "chat", chunks: [{ start: 0, end: 26, vector: encodeVector(vector(0)) }] }),
      memory("The bicycle has a flat tyre", { tags: ["home"], source: "mail", chunks: [{ start: 0, end: 27, vector: encodeVector(vector(1)) }] }),
      memory("Piano lessons are on Mondays", { tags: ["home"], source: "chat", chunks: [{ start: 0, end: 28, vector: encodeVector(vector(2)) }] }),
    ]);
    expect(found(await search(tenant, "walnut allergies"))[0]).toBe("She is allergic to walnuts");
    expect(found(await search(tenant, "zzz", { vector: vector(1) }))[0]).toBe("The bicycle has a flat tyre");
    const home = await search(tenant, "zzz", { tag: "home" });
    expect(found(home).sort()).toEqual(["Piano lessons are on Mondays", "The bicycle has a flat tyre"]);
    expect(home.totalMatching).toBe(2);

    expect(await indexer.call(Indexer.delete, "write", tenant, { id: walnuts.id })).toEqual({ deleted: 1 });
    expect(found(await search(tenant, "walnut allergies"))).not.toContain("She is allergic to walnuts");
    await expect(indexer.call(Indexer.get, "read", tenant, { id: walnuts.id })).rejects.toMatchObject({ code: "not_found" });
    await expect(indexer.call(Indexer.delete, "write", tenant, { id: walnuts.id })).rejects.toMatchObject({ code: "not_found" });
  });

  it("are filtered by any field they hold, and by metadata as far as it is kept for that", async () => {
    const tenant = newTenant();
    const filtered = (field: string, op: string, value: unknown) =>
      indexer.call(Indexer.search, "read", tenant, { query: "zzz", filters: { kind: { $case: "condition", value: { field, op, value } } }, candidates: 50 });
    expect(await filtered("metadata.stars", "gt", 3)).toMatchObject({ totalMatching: 0, unknownFields: ["metadata.stars"] });
    const [, second] = await put(tenant, [
      memory("one", { agentId: "planner", metadata: { stars: 4, essay: "x".repeat(5_000) } }),
      memory("two", { role: "Maya", metadata: { stars: "4" }, occurredAt: { seconds: 1_700_000_000n, nanos: 0 } }),
    ]);
    expect(found(await filtered("metadata.stars", "gt", 3))).toEqual(["one"]);
    expect(found(await filtered("occurred_at", "lte", "2023-11-14T22:13:20Z"))).toEqual(["two"]);
    expect(found(await filtered("created_at", "gte", "2023-11-14T22:13:20Z")).sort()).toEqual(["one", "two"]);
    expect(found(await filtered("agent_id", "exists", false))).toEqual(["two"]);
    expect(found(await filtered("role", "icontains", "MAY"))).toEqual(["two"]);
    expect(found(await filtered("id", "in", [second.id]))).toEqual(["two"]);
    expect(await filtered("metadata.moons", "exists", false)).toMatchObject({ totalMatching: 2, unknownFields: ["metadata.moons"] });
    // Too large to be kept in memory: matching nothing would be a wrong answer.
    await expect(filtered("metadata.essay", "contains", "x")).rejects.toMatchObject({ code: "invalid_argument", field: "filters" });
    await expect(filtered("colour", "eq", "red")).rejects.toMatchObject({ code: "invalid_argument", field: "filters.condition.field" });
  });

  it("are listed newest first, page by page, each once", async () => {
    const tenant = newTenant();
    const ids = (await put(tenant, Array.from({ length: 7 }, (_m, i) => memory(`note ${i}`)))).map(({ id }) => id);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await indexer.call(Indexer.list, "read", tenant, { limit: 3, cursor });
      seen.push(...page.results.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(ids.toReversed());
    await expect(indexer.call(Indexer.list, "read", tenant, { limit: 3, cursor: "made-up" })).rejects.toMatchObject({ code: "invalid_argument", field: "cursor" });
  });

  it("are stored all or none", async () => {
    const tenant = newTenant();
    await put(tenant, [memory("first")]);
    const wrong = memory("third", { chunks: [{ start: 0, end: 5, vector: encodeVector(Float32Array.of(1, 2)) }] });
    await expect(put(tenant, [memory("second"), wrong])).rejects.toMatchObject({ code: "invalid_argument", field: "memories[1].vector" });
    await expect(put(tenant, [wrong])).rejects.toMatchObject({ code: "already_exists", message: expect.stringContaining("were made by test, of 8 values") as string });
    expect((await indexer.call(Indexer.list, "read", tenant, {})).results.map(({ text }) => text)).toEqual(["first"]);
  });

  it("of a tenant that never wrote are simply not there", async () => {
    expect(await search(newTenant(), "anything")).toEqual({ candidates: [], totalMatching: 0, integrityFailures: 0, unknownFields: [], modelMismatch: false });
    expect((await indexer.call(Indexer.list, "read", newTenant(), {})).results).toEqual([]);
  });
});

describe("tenants", () => {
  it("cannot see, delete or tell apart each other's ids", async () => {
    const [alice, bob] = [newTenant(), newTenant()];
    const [secret] = await put(alice, [memory("alice's secret")]);
    await put(bob, [memory("bob's note")]);
    const absent = await indexer.call(Indexer.get, "read", bob, { id: "0190a5d0-0000-7000-8000-000000000000" }).catch((error: unknown) => error);
    const foreign = await indexer.call(Indexer.get, "read", bob, { id: secret.id }).catch((error: unknown) => error);
    expect(foreign).toEqual(absent);
    await expect(indexer.call(Indexer.delete, "write", bob, { id: secret.id })).rejects.toMatchObject({ code: "not_found" });
    expect(found(await search(bob, "alice secret"))).toEqual(["bob's note"]);
    expect(found(await search(alice, "alice secret"))).toEqual(["alice's secret"]);
  });

  it("need an assertion for exactly the class of call, on every call but ResolveKey", async () => {
    const tenant = newTenant();
    const { resolveKey, ...methods } = Indexer;
    const classes: Record<keyof typeof methods, MethodClass> = {
      put: "write", search: "read", get: "read", list: "read", update: "write", history: "read", delete: "write", deleteMany: "write", listAudit: "admin", erase: "admin", getErasure: "admin", noteToken: "delegate",
    };
    const codeOf = (call: Promise<unknown>): Promise<string> => call.then(() => "ok", (error: unknown) => (error as { code: string }).code);
    for (const [name, { path }] of Object.entries(methods)) {
      const empty = { path, requestSerialize: () => Buffer.alloc(0), responseDeserialize: () => ({}) } as unknown as MethodDefinition<object, object>;
      const own = classes[name as keyof typeof methods];
      expect(await codeOf(unary(indexer.client, empty, {}, { peer: "indexer", deadlineMs: Date.now() + 5_000 }))).toBe("unauthenticated");
      for (const other of METHOD_CLASSES.filter((one) => one !== own)) expect(await codeOf(indexer.call(empty, other, tenant, {}))).toBe("unauthenticated");
      expect(["ok", "invalid_argument", "not_found"]).toContain(await codeOf(indexer.call(empty, own, tenant, {})));
    }
    const unscoped = await world.signer.sign({ tenant, actor: "api-key test", scopes: ["write"], method: "read" });
    const metadata = { [ASSERTION_KEY]: unscoped };
    await expect(unary(indexer.client, Indexer.list, {}, { peer: "indexer", deadlineMs: Date.now() + 5_000, metadata })).rejects.toMatchObject({ code: "permission_denied" });
    await expect(unary(indexer.client, resolveKey, { keyId: "x", secretHash: Buffer.alloc(32) }, { peer: "indexer", deadlineMs: Date.now() + 5_000 })).rejects.toMatchObject({ code: "not_found" });
  });

  it("are named by API keys: only a matching id and secret hash resolve", async () => {
    const tenant = newTenant();
    const secretHash = randomBytes(32);
    await createApiKey(world.database.urls.owner, world.keyMacs, { keyId: "abcdefghijkl", secretHash, tenant, namespace: "default", scopes: ["read"] });
    const resolve = (keyId: string, hash: Buffer) => unary(indexer.client, Indexer.resolveKey, { keyId, secretHash: hash }, { peer: "indexer", deadlineMs: Date.now() + 5_000 });
    expect(await resolve("abcdefghijkl", secretHash)).toEqual({ userHash: Buffer.from(tenant, "hex"), namespace: "default", scopes: ["read"] });
    await expect(resolve("abcdefghijkl", randomBytes(32))).rejects.toMatchObject({ code: "not_found" });
    await expect(resolve("unknown", secretHash)).rejects.toMatchObject({ code: "not_found" });
    await world.database.asSuperuser("UPDATE memseal.api_key SET revoked_at = now() WHERE key_id = 'abcdefghijkl'");
    await expect(resolve("abcdefghijkl", secretHash)).rejects.toMatchObject({ code: "not_found" });
  });

  it("are named by no API key whose row was altered: it is unknown, counted, and in the log by its id alone", async () => {
    const [secretHash, victim, metrics] = [randomBytes(32), newTenant(), `127.0.0.1:${await freePort()}`];
    await createApiKey(world.database.urls.owner, world.keyMacs, { keyId: "mnopqrstuvwx", secretHash, tenant: newTenant(), namespace: "default", scopes: ["read"] });
    await world.database.asSuperuser("UPDATE memseal.api_key SET user_hash = $1 WHERE key_id = 'mnopqrstuvwx'", [Buffer.from(victim, "hex")]);
    const counting = await world.start({ MEMSEAL_METRICS_ADDRESS: metrics });
    const refusal = await unary(counting.client, Indexer.resolveKey, { keyId: "mnopqrstuvwx", secretHash }, { peer: "indexer", deadlineMs: Date.now() + 5_000 }).catch((error: unknown) => error as Error);
    const unknown = await unary(counting.client, Indexer.resolveKey, { keyId: "nobody", secretHash }, { peer: "indexer", deadlineMs: Date.now() + 5_000 }).catch((error: unknown) => error as Error);
    expect(refusal).toEqual(unknown);
    expect(refusal).toMatchObject({ code: "not_found" });
    expect(await (await fetch(`http://${metrics}/metrics`)).text()).toMatch(/^memseal_api_keys_refused_total\{reason="altered",track="stable"\} 1$/m);
    const line = counting.process.lines.find((one) => one.includes('"event":"api key refused"'))!;
    expect(JSON.parse(line)).toEqual({ time: expect.any(String) as string, level: "error", service: "indexer", event: "api key refused", keyId: "mnopqrstuvwx", reason: "altered" });
    await counting.process.kill("SIGTERM");
  });
});

describe("sealed rows", () => {
  it("hold no text, metadata, tag, source or vector in any encoding, nor does any file of the database", async () => {
    const tenant = newTenant();
    const marks = { text: "zebrafinch-text", metadata: "zebrafinch-meta", tag: "zebrafinch-tag", source: "zebrafinch-source", role: "zebrafinch-role", agent: "zebrafinch-agent" };
    const embedding = vector();
    await put(tenant, [memory(marks.text, {
      agentId: marks.agent, role: marks.role, source: marks.source, tags: [marks.tag], metadata: { note: marks.metadata },
      chunks: [{ start: 0, end: marks.text.length, vector: encodeVector(embedding) }],
    })]);
    expect(found(await search(tenant, "zebrafinch"))).toEqual([marks.text]);
    const needles = [...Object.values(marks).map((mark) => Buffer.from(mark)), encodeVector(embedding)].flatMap(encodings);

    const tables = await world.database.asSuperuser<{ name: string }>("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'memseal'");
    let rows = 0;
    for (const { name } of tables) {
      for (const row of await world.database.asSuperuser<Record<string, unknown>>(`SELECT * FROM memseal.${name}`)) {
        rows++;
        for (const value of Object.values(row)) expectAbsent(needles, Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value)), name);
      }
    }
    expect(rows).toBeGreaterThan(4);

    await world.database.asSuperuser("CHECKPOINT");
    for (const entry of readdirSync(world.database.dir, { recursive: true, withFileTypes: true })) {
      // The server's own programs hold no data.
      if (entry.isFile() && !entry.parentPath.includes("binaries")) expectAbsent(needles, readFileSync(join(entry.parentPath, entry.name)), entry.name);
    }
  });

  it("that do not open are left out, counted once, and harm no other", async () => {
    const tenant = newTenant();
    const [broken] = await put(tenant, [memory("the damaged note"), memory("the other note")]);
    const flip = "UPDATE memseal.memory SET text_cipher = set_byte(text_cipher, 40, get_byte(text_cipher, 40) # 1) WHERE id = $1";
    expect((await search(tenant, "note")).integrityFailures).toBe(0);
    await world.database.asSuperuser(flip, [broken.id]);
    for (let again = 0; again < 2; again++) {
      const response = await search(tenant, "note");
      expect(found(response)).toEqual(["the other note"]);
      expect(response.integrityFailures).toBe(1);
    }
    await expect(indexer.call(Indexer.get, "read", tenant, { id: broken.id })).rejects.toMatchObject({ code: "data_loss", message: `memory ${broken.id} cannot be opened` });
    // Loaded afresh, it is left out from the start.
    const other = await world.start();
    const response = await search(tenant, "note", {}, other);
    expect(found(response)).toEqual(["the other note"]);
    expect(response.integrityFailures).toBe(1);
    await other.process.kill("SIGTERM");
  });

  it("moved from one memory to another do not open", async () => {
    const tenant = newTenant();
    const [one, two] = await put(tenant, [memory("note one"), memory("note two")]);
    await world.database.asSuperuser("UPDATE memseal.memory SET text_cipher = (SELECT text_cipher FROM memseal.memory WHERE id = $2) WHERE id = $1", [one.id, two.id]);
    await expect(indexer.call(Indexer.get, "read", tenant, { id: one.id })).rejects.toMatchObject({ code: "data_loss" });
  });
});

describe("an indexer's health", () => {
  const { Check: check } = healthService as unknown as Record<string, MethodDefinition<{ service: string }, { status: string }>>;
  const statusOf = async (service: string) => (await unary(indexer.client, check, { service }, { peer: "indexer", deadlineMs: Date.now() + 5_000 })).status;
  const until = async (status: string) => { while ((await statusOf("memseal.indexer.v1.IndexerService")) !== status) await delay(50); };

  it("follows the database", async () => {
    await until("SERVING");
    await world.database.asSuperuser("ALTER ROLE memseal_scheduler NOLOGIN");
    await world.database.asSuperuser("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'memseal_scheduler'");
    await until("NOT_SERVING");
    expect(await statusOf("")).toBe("NOT_SERVING");
    await world.database.asSuperuser("ALTER ROLE memseal_scheduler LOGIN");
    await until("SERVING");
  });
});

describe("an indexer that is told to stop", () => {
  it("answers what is in flight, ends with 0, and has stored what it acknowledged", async () => {
    const [victim, tenant] = [await world.start(), newTenant()];
    await put(tenant, [memory("seed")], victim);
    const calls = Array.from({ length: 40 }, (_v, i) => put(tenant, [memory(`note ${i}`)], victim).then(() => `note ${i}`, (error: unknown) => error));
    await Promise.race(calls);
    await victim.process.kill("SIGTERM");
    expect(await victim.process.exited).toBe(0);
    const outcomes = await Promise.all(calls);
    const acknowledged = outcomes.filter((outcome) => typeof outcome === "string");
    for (const outcome of outcomes) if (typeof outcome !== "string") expect(outcome).toMatchObject({ code: "unavailable" });
    expect(acknowledged.length).toBeGreaterThan(1);
    const kept = (await indexer.call(Indexer.list, "read", tenant, { limit: 100 })).results.map(({ text }) => text);
    expect(kept).toEqual(expect.arrayContaining(acknowledged));
    expect(victim.process.lines.some((line) => line.includes('"level":"error"'))).toBe(false);
  });
});

describe("start", () => {
  const startWith = (change: Record<string, string>) => runToExit(INDEXER_SCRIPT, { ...world.env, MEMSEAL_INDEXER_ADDRESS: "127.0.0.1:1", ...change });
  it.each([
    ["the owner of the tables", () => ({ DATABASE_URL: world.database.urls.owner }), "owns table"],
    ["a missing root key", () => ({ MEMSEAL_ROOT_KEY_FILE: "/nowhere/root.key" }), "secret file /nowhere/root.key cannot be read"],
    ["a missing variable", () => ({ DATABASE_AUTH_URL: "" }), "DATABASE_AUTH_URL: must be set"],
    ["a wrong password", () => ({ DATABASE_URL: world.database.urls.app.replace(/:[^:@]+@/, ":wrong@") }), "refuses this role"],
  ])("is refused with %s, in one clear line without a secret", async (_what, change, reason) => {
    const { code, lines } = await startWith(change());
    expect(code).toBe(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(reason);
    expect(lines[0]).not.toContain("postgres://");
  });

  it.each(["SUPERUSER", "BYPASSRLS"])("is refused when the app role is %s", async (attribute) => {
    await world.database.asSuperuser(`ALTER ROLE memseal_app ${attribute}`);
    const { code, lines } = await startWith({});
    await world.database.asSuperuser(`ALTER ROLE memseal_app NO${attribute}`);
    expect(code).toBe(1);
    expect(lines[0]).toContain("is superuser or bypasses row security");
  });
});

/** A needle as it could stand in a row: as it is, as hex, and as base64 at each alignment. */
function encodings(needle: Buffer): Buffer[] {
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), needle]).toString("base64");
    // Without the characters that mix with what stands before and after.
    return text.slice(shift === 0 ? 0 : shift + 1, -4);
  });
  return [needle, Buffer.from(needle.toString("hex")), ...base64.map((text) => Buffer.from(text))];
}

function expectAbsent(needles: readonly Buffer[], haystack: Buffer, where: string): void {
  for (const needle of needles) {
    if (haystack.includes(needle)) throw new Error(`${where} holds ${needle.toString("latin1")}`);
  }
}
