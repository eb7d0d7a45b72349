import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeVector } from "@memseal/contracts";
import { TRANSPORTS, type Answer, type Gateway } from "./gateway.js";
import { Stack } from "./stack.js";

/** What must never be found where it was not asked for. */
const TEXT = "zirconium-walnut-7719 is what she hides";
const USER = "ottoline-8823@example.org";
const OTHER_USER = "quillfeather-4410@example.org";
const METADATA = "biscuit-metadata-5591";
const TAG = "thistle-tag-3307";
const QUERY = "marzipan-query-6644";
const KEY_NAME = "hedgehog-field-9082";
const VECTOR = Float32Array.from({ length: 384 }, (_value, i) => Math.fround(Math.sin(i * 12.9898) * 0.043758));

let stack: Stack;
let gateway: Gateway;
let key: string;
let otherKey: string;
const failures: { what: string; answer: Answer }[] = [];

/** A secret as it could be written down. A base64 of a longer value holds one of three, without its ends. */
function formsOf(secret: string | Buffer): Buffer[] {
  const bytes = Buffer.from(secret as string);
  const base64 = [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64").replace(/=+$/, "");
    const middle = encoded.slice(before === 0 ? 0 : before + 1, -2);
    return [middle, middle.replaceAll("+", "-").replaceAll("/", "_")];
  });
  const text = bytes.toString("latin1");
  return [bytes, ...[bytes.toString("hex"), bytes.toString("hex").toUpperCase(), encodeURIComponent(text), ...base64].map((form) => Buffer.from(form))];
}

const secrets = () => [TEXT, "zirconium-walnut-7719", USER, OTHER_USER, METADATA, TAG, QUERY, KEY_NAME, key, key.slice(-24), otherKey, Buffer.from(VECTOR.buffer).subarray(64, 128), String(VECTOR[7])];

function leaksIn(haystack: Buffer | string): string[] {
  const bytes = Buffer.from(haystack as string);
  return secrets().filter((secret) => formsOf(secret).some((form) => bytes.includes(form))).map((secret) => secret.toString().slice(0, 12));
}

const filesIn = (dir: string): string[] => readdirSync(dir, { recursive: true, encoding: "utf8" }).map((name) => join(dir, name)).filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile());

beforeAll(async () => {
  stack = await Stack.start();
  gateway = await stack.startGateway();
  [key, otherKey] = [await stack.createKey(USER), await stack.createKey(OTHER_USER)];
});
afterAll(() => stack.stop());

const memory = { text: TEXT, tags: [TAG], metadata: { note: METADATA }, vector: [...VECTOR] };

describe("what was said, by whom and with which key", () => {
  it("is answered to its owner: the search for leaks finds it there", async () => {
    for (const transport of TRANSPORTS) {
      const json = { memories: [memory] };
      const message = { memories: [{ ...memory, vector: encodeVector(VECTOR) }], messages: [], userId: undefined };
      const added = await gateway.ask(transport, { method: "add", json, key, ...(transport === "grpc" ? { message } : {}) });
      expect(added.code).toBe("ok");
      const [{ id }] = added.body["results"] as { id: string }[];
      for (const ask of [
        { method: "search", json: { query: QUERY } },
        { method: "search", json: { query: TEXT, explain: true, filters: { tags: { contains: TAG } } } },
        { method: "get", json: { id } },
        { method: "list", json: {} },
      ] as const) {
        const answer = await gateway.ask(transport, { ...ask, key });
        expect(answer.code).toBe("ok");
        expect(leaksIn(JSON.stringify(answer.body))).toContain(TEXT.slice(0, 12));
      }
    }
  });

  it("is refused in every way there is", async () => {
    const expectCode = async (what: string, codes: readonly string[], ask: Parameters<Gateway["ask"]>[1]) => {
      for (const transport of TRANSPORTS) {
        const answer = await gateway.ask(transport, { key, ...ask });
        expect({ what, transport, code: answer.code }).toEqual({ what, transport, code: codes.includes(answer.code) ? answer.code : codes.join(" or ") });
        failures.push({ what: `${what} over ${transport}`, answer });
      }
    };
    await expectCode("400", ["invalid_argument"], { method: "add", json: { memories: [{ text: TEXT, tags: [`${TAG}\0`] }] } });
    await expectCode("400 of a query", ["invalid_argument"], { method: "search", json: { query: QUERY.repeat(200), filters: { "metadata.note": { eq: METADATA } } } });
    await expectCode("401", ["unauthenticated"], { method: "search", json: { query: QUERY }, key: `${key.slice(0, -4)}AAAA` });
    await expectCode("401 of no key at all", ["unauthenticated"], { method: "search", json: { query: QUERY }, key: TEXT.replaceAll(" ", "-") });
    await expectCode("403", ["permission_denied"], { method: "search", json: { query: QUERY, user_id: OTHER_USER } });
    await expectCode("404", ["not_found"], { method: "get", json: { id: "01900000-0000-7000-8000-000000000000" } });
    await expectCode("413", ["resource_exhausted"], { method: "add", json: { memories: [{ text: TEXT.repeat(250_000) }] } });
    const [row] = await stack.database.asSuperuser<{ id: string }>("SELECT id FROM memseal.memory LIMIT 1");
    await stack.database.asSuperuser("UPDATE memseal.memory SET text_cipher = meta_cipher WHERE id = $1", [row.id]);
    await expectCode("500", ["data_loss"], { method: "get", json: { id: row.id } });
    await stack.killReranker();
    await expectCode("503 of the embedder", ["unavailable"], { method: "add", json: { memories: [{ text: TEXT, tags: [TAG], metadata: { note: METADATA } }] } });
    await stack.startReranker();
    process.kill(stack.database.server.pid!, "SIGKILL");
    await expectCode("503 of the database", ["unavailable", "ok", "data_loss"], { method: "list", json: {} });
    expect((await gateway.fetch(`/v1/memories?${encodeURIComponent(KEY_NAME)}=${encodeURIComponent(TEXT)}`, { headers: { authorization: `Bearer ${key}`, "x-request-id": `${USER} ${TEXT}` } })).status).toBe(400);
    expect((await gateway.fetch(`/v1/${encodeURIComponent(TEXT)}`, { headers: { authorization: `Bearer ${key}` } })).status).toBe(404);
  });

  it("is in no refusal, but for the names that its own caller chose", () => {
    for (const { what, answer } of failures.filter(({ answer: { code } }) => code !== "ok")) expect({ what, leaks: leaksIn(JSON.stringify(answer)) }).toEqual({ what, leaks: [] });
  });

  it("is in no line that any process wrote", () => {
    for (const event of ["request", "call", "request failed"]) expect(stack.output).toContain(`"event":"${event}"`);
    expect(leaksIn(stack.output)).toEqual([]);
  });

  it("is in no metric of any process", async () => {
    const metrics = await stack.metrics(gateway);
    for (const name of ["memseal_requests_total", "memseal_calls_total", "memseal_cross_tenant_reached_total"]) expect(metrics).toContain(name);
    expect(metrics).toMatch(/memseal_cross_tenant_refused_total\{where="user_id",track="stable"\} 2/);
    expect(leaksIn(metrics)).toEqual([]);
  });

  it("is in no table, and in no file of the database or its log", async () => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await stack.database.asSuperuser("CHECKPOINT");
    const tables = await stack.database.asSuperuser<{ name: string }>("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'memseal'");
    expect(tables.length).toBeGreaterThan(10);
    let rows = 0;
    for (const { name } of tables) {
      const dump = await stack.database.asSuperuser<{ row: string }>(`SELECT t::text AS row FROM memseal."${name}" AS t`);
      rows += dump.length;
      expect({ name, leaks: leaksIn(dump.map(({ row }) => row).join("\n")) }).toEqual({ name, leaks: [] });
    }
    expect(rows).toBeGreaterThan(10);
    const control = join(stack.database.dir, "control");
    writeFileSync(control, `... ${Buffer.from(`x${TEXT}`).toString("base64")} ...`);
    // The binaries were there before anything was said.
    const files = filesIn(stack.database.dir).filter((file) => !file.includes("/binaries/"));
    expect(files.length).toBeGreaterThan(500);
    expect(files.filter((file) => leaksIn(readFileSync(file)).length > 0)).toEqual([control]);
  });
});
