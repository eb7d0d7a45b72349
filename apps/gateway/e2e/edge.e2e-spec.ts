import { readFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { Client, credentials, Metadata, status, type ServiceError } from "@grpc/grpc-js";
import { LIMITS, MemoryServiceService } from "@memseal/contracts";
import { MAX_MESSAGE_BYTES } from "@memseal/transport";
import { TRANSPORTS, type Gateway } from "./gateway.js";
import { stretchedCall } from "./raw-grpc.js";
import { Stack } from "./stack.js";

const PAGE = "https://app.example";
/** How long the guarded gateway waits for a request to arrive. */
const RECEIVE_MS = 4_000;
/** Node itself, models aside, takes 100; eight bodies of 8 MiB at a time may be there as bytes, text and JSON. */
const MAX_RSS_MIB = 700;

let stack: Stack;
let gateway: Gateway;
/** Serves pages, and waits for less. */
let guarded: Gateway;
let key: string;

beforeAll(async () => {
  stack = await Stack.start();
  gateway = await stack.startGateway();
  guarded = await stack.startGateway({ MEMSEAL_CORS_ORIGINS: `${PAGE},http://localhost:3000`, MEMSEAL_HTTP_RECEIVE_TIMEOUT_MS: String(RECEIVE_MS) });
  key = await stack.createKey("edge");
});

afterAll(async () => {
  await stack.stop();
});

describe("the description of the API", () => {
  it("is a page that loads what it needs from here, under a policy that allows nothing else", async () => {
    const page = await gateway.fetch("/docs");
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const policy = page.headers.get("content-security-policy");
    expect(policy).toContain("default-src 'none'; script-src 'self';");
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe/);
    const html = await page.text();
    expect(html).not.toMatch(/https?:|<script>|\son\w+=/);
    const parts = [...html.matchAll(/(?:src|href)="(docs\/[^"]+)"/g)].map(([, path]) => path);
    expect(parts).toHaveLength(3);
    for (const part of parts) {
      const response = await gateway.fetch(`/${part}`);
      expect({ part, status: response.status, type: response.headers.get("content-type") }).toMatchObject({ part, status: 200, type: expect.stringMatching(/^text\/(css|javascript)/) as string });
      expect((await response.text()).length).toBeGreaterThan(50);
    }
  });

  it("is OpenAPI 3.1 at an address of its own", async () => {
    const response = await gateway.fetch("/docs/openapi.json");
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(await response.json()).toMatchObject({ openapi: "3.1.1", paths: { "/v1/memories/search": { post: { operationId: "search" } } } });
  });

  it.each(["/docs/assets/package.json", "/docs/assets/__proto__", "/docs/assets/..%2f..%2fpackage.json"])("hands out nothing else: %s", async (path) => {
    const response = await gateway.fetch(path);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: "not_found" });
  });
});

describe("a page in a browser", () => {
  const preflight = (at: Gateway, origin: string) => at.fetch("/v1/memories", {
    method: "OPTIONS",
    headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type,idempotency-key" },
  });
  const allowed = ({ headers }: Response) => [...headers].filter(([name]) => name.startsWith("access-control-"));

  it("may not call, unless its origin is configured", async () => {
    const asked = await preflight(gateway, PAGE);
    expect({ status: asked.status, allowed: allowed(asked) }).toEqual({ status: 404, allowed: [] });
    expect(allowed(await gateway.fetch("/v1/memories", { headers: { origin: PAGE } }))).toEqual([]);
  });

  it("of a configured origin may, without cookies, and reads what an answer says beside its body; no other may", async () => {
    for (const origin of [PAGE, "http://localhost:3000"]) {
      const asked = await preflight(guarded, origin);
      expect({ status: asked.status, vary: asked.headers.get("vary"), allowed: Object.fromEntries(allowed(asked)) }).toMatchObject({
        status: 204,
        vary: expect.stringContaining("Origin") as string,
        allowed: {
          "access-control-allow-origin": origin,
          "access-control-allow-methods": "GET, POST, PATCH, DELETE",
          "access-control-allow-headers": "authorization, content-type, request-timeout-ms, x-request-id, idempotency-key, if-match",
          "access-control-max-age": "600",
        },
      });
      expect(asked.headers.get("access-control-allow-credentials")).toBeNull();
      const refused = await guarded.fetch("/v1/memories", { headers: { origin } });
      expect({ status: refused.status, origin: refused.headers.get("access-control-allow-origin") }).toEqual({ status: 401, origin });
      expect(refused.headers.get("access-control-expose-headers")).toMatch(/x-request-id.*retry-after/);
    }
    for (const origin of ["https://app.example.evil", "http://app.example", "https://sub.app.example", "https://app.example:8443", "null", "*"]) {
      expect((await preflight(guarded, origin)).headers.get("access-control-allow-origin")).toBeNull();
      expect((await guarded.fetch("/v1/memories", { headers: { origin } })).headers.get("access-control-allow-origin")).toBeNull();
    }
  });
});

/** What came back on a connection that sent `parts`, one after the other, and whether it was closed for it. */
function converse(address: string, parts: readonly (string | Buffer)[], { pauseMs = 0, waitMs = 5_000 } = {}): Promise<{ text: string; isClosed: boolean; tookMs: number }> {
  const [host, port] = address.split(":");
  const startedAt = performance.now();
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(Number(port), host);
    const end = (isClosed: boolean) => {
      socket.destroy();
      resolve({ text, isClosed, tookMs: performance.now() - startedAt });
    };
    socket.setEncoding("latin1").on("data", (part: string) => { text += part; }).once("close", () => { end(true); }).on("error", () => undefined);
    socket.setTimeout(waitMs, () => { end(false); });
    void (async () => {
      for (const part of parts) {
        if (socket.destroyed) return;
        socket.write(part);
        if (pauseMs > 0) await delay(pauseMs);
      }
    })();
  });
}

const answersIn = (text: string) => [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, code]) => Number(code));
const post = (path: string, body: string | Buffer | ReadableStream, headers: Record<string, string> = {}) =>
  guarded.fetch(path, { method: "POST", body, headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers }, duplex: "half" });
const peakMib = (pid: number) => Math.round(Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024);

/** The status of a gRPC call with these bytes as its message. */
function callWith(bytes: Buffer, options: object = {}): Promise<status> {
  const client = new Client(guarded.grpc, credentials.createInsecure(), options);
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  const asIs = (value: Buffer) => value;
  return new Promise((resolve) => {
    client.makeUnaryRequest(MemoryServiceService.search.path, asIs, asIs, bytes, metadata, { deadline: Date.now() + 20_000 }, (error: ServiceError | null) => {
      client.close();
      resolve(error?.code ?? status.OK);
    });
  });
}

describe("a hostile client", () => {
  let silent: ReturnType<typeof converse>;

  beforeAll(() => {
    // Waited for at the end: it takes a ping and its time.
    silent = converse(guarded.grpc, [], { waitMs: 60_000 });
  });

  afterAll(async () => {
    for (const transport of TRANSPORTS) {
      expect((await guarded.ask(transport, { method: "add", key, json: { memories: [{ text: "The gate still stands." }] } })).code).toBe("ok");
    }
    expect(peakMib(guarded.process.pid)).toBeLessThan(MAX_RSS_MIB);
  });

  it("that is slow is cut off over HTTP, whether it sends nothing, its headers or its body in drops, and nobody waits for it", async () => {
    const drops = Array.from("Host: gate\r\n".repeat(20));
    const slow = Promise.all([
      ...Array.from({ length: 300 }, () => converse(guarded.http, [], { waitMs: 30_000 })),
      converse(guarded.http, ["GET /healthz HTTP/1.1\r\n", ...drops], { pauseMs: 300, waitMs: 30_000 }),
      converse(guarded.http, ["POST /v1/memories HTTP/1.1\r\nhost: gate\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n", ...drops], { pauseMs: 300, waitMs: 30_000 }),
    ]);
    await delay(500);
    expect((await guarded.fetch("/healthz")).status).toBe(200);
    for (const { text, isClosed, tookMs } of await slow) {
      expect({ isClosed, answers: answersIn(text) }).toEqual({ isClosed: true, answers: [408] });
      expect(text).toMatch(/content-type: application\/problem\+json[^]*"code":"deadline_exceeded"/);
      expect(tookMs).toBeLessThan(RECEIVE_MS + 10_000);
    }
  });

  it("that is slow is cut off over gRPC, whatever it calls, and nobody waits for it", async () => {
    const paths = [MemoryServiceService.add.path, MemoryServiceService.searchStream.path, "/grpc.health.v1.Health/Watch", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"];
    const slow = Promise.all(paths.map((path) => stretchedCall(guarded.grpc, path)));
    await delay(500);
    expect((await guarded.ask("grpc", { method: "list", key })).code).toBe("ok");
    for (const { end, tookMs } of await slow) {
      expect(end).toBe(String(status.DEADLINE_EXCEEDED));
      expect(tookMs).toBeLessThan(RECEIVE_MS + 10_000);
    }
  });

  it("or any other that asks for the head of an answer is counted, and names content types as it likes", async () => {
    const listed = async () => Number(/memseal_requests_total\{method="list",transport="http",code="ok",[^}]*\} (\d+)/.exec(await (await guarded.fetch("/metrics")).text())?.[1]);
    const before = await listed();
    expect((await guarded.fetch("/v1/memories", { method: "HEAD", headers: { authorization: `Bearer ${key}` } })).status).toBe(200);
    expect(await listed()).toBe(before + 1);
    expect((await post("/v1/memories/search", '{"query":"gate"}', { "content-encoding": "Identity" })).status).toBe(200);
    expect((await post("/v1/memories/search", '{"query":"gate"}', { "content-type": "Application/Merge-Patch+json" })).status).toBe(415);
  });

  const head = (...lines: string[]) => `POST /v1/memories HTTP/1.1\r\nhost: gate\r\ncontent-type: application/json\r\n${lines.join("\r\n")}\r\n\r\n`;
  const SMUGGLED = "GET /healthz HTTP/1.1\r\nhost: gate\r\n\r\n";

  it.each<[string, number, string | Buffer]>([
    ["a length and chunks", 400, `${head("content-length: 5", "transfer-encoding: chunked")}0\r\n\r\n${SMUGGLED}`],
    ["chunks and a length", 400, `${head("transfer-encoding: chunked", "content-length: 5")}0\r\n\r\n${SMUGGLED}`],
    ["two lengths", 400, `${head("content-length: 2", "content-length: 50")}{}${SMUGGLED}`],
    ["a length with a sign", 400, `${head("content-length: +2")}{}${SMUGGLED}`],
    ["a list of lengths", 400, `${head("content-length: 2, 2")}{}${SMUGGLED}`],
    ["chunks that end as something else", 400, `${head("transfer-encoding: chunked, identity")}0\r\n\r\n${SMUGGLED}`],
    ["a space before a colon", 400, `${head("content-length : 2")}{}${SMUGGLED}`],
    ["a folded header", 400, `${head("x-a: b", " transfer-encoding: chunked")}${SMUGGLED}`],
    ["NUL in a header", 400, `${head("x-a: \0")}${SMUGGLED}`],
    ["a chunk size that is none", 400, `${head("transfer-encoding: chunked")}zz\r\n{}\r\n0\r\n\r\n${SMUGGLED}`],
    ["a chunk size beyond any", 400, `${head("transfer-encoding: chunked")}ffffffffffffffffff\r\n{}\r\n0\r\n\r\n${SMUGGLED}`],
    ["a method that is none", 400, `NOPE / HTTP/1.1\r\nhost: gate\r\n\r\n${SMUGGLED}`],
    ["HTTP/0.9", 400, `GET /healthz\r\n\r\n${SMUGGLED}`],
    ["TLS", 400, Buffer.from("16030100a5010000a10303", "hex")],
    ["headers of 20 KB", 431, `${head(`x-a: ${"a".repeat(20_000)}`)}${SMUGGLED}`],
  ])("that sends %s is answered %i once, and nothing after it is read", async (_what, expected, bytes) => {
    const { text, isClosed } = await converse(guarded.http, [bytes]);
    expect({ isClosed, answers: answersIn(text) }).toEqual({ isClosed: true, answers: [expected] });
    expect(text).toMatch(/content-type: application\/problem\+json/);
    expect(text).not.toContain("\"up\"");
  });

  it("that names no host is refused in our words, and one that expects what nobody knows is served", async () => {
    const nameless = await converse(guarded.http, ["GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n"]);
    expect(answersIn(nameless.text)).toEqual([400]);
    expect(nameless.text).toMatch(/"code":"invalid_argument","field":"host"/);
    const old = await converse(guarded.http, ["GET /healthz HTTP/1.0\r\n\r\n"]);
    expect(answersIn(old.text)).toEqual([200]);
    const expectant = await converse(guarded.http, ["GET /healthz HTTP/1.1\r\nhost: gate\r\nexpect: tea\r\nconnection: close\r\n\r\n"]);
    expect(answersIn(expectant.text)).toEqual([200]);
  });

  it("that sends 200 requests at once is answered each, in order", async () => {
    const requests = Array.from({ length: 200 }, (_, i) => `GET /healthz HTTP/1.1\r\nhost: gate\r\nx-request-id: r${i}\r\n${i === 199 ? "connection: close\r\n" : ""}\r\n`);
    const { text } = await converse(guarded.http, [requests.join("")]);
    expect([...text.matchAll(/^x-request-id: (r\d+)/gm)].map(([, id]) => id)).toEqual(requests.map((_, i) => `r${i}`));
  });

  it("that sends 8 MiB is served, and refused with a byte more, however it is sent", async () => {
    const body = (bytes: number) => '{"query":"gate"}'.padEnd(bytes);
    expect((await post("/v1/memories/search", body(MAX_MESSAGE_BYTES))).status).toBe(200);
    expect((await post("/v1/memories/search", body(MAX_MESSAGE_BYTES + 1))).status).toBe(413);
    const chunked = new Blob([body(MAX_MESSAGE_BYTES + 1)]).stream();
    const answers = await Promise.all([post("/v1/memories/search", chunked), ...Array.from({ length: 7 }, () => post("/v1/memories/search", body(MAX_MESSAGE_BYTES + 1)))].map((one) => one.then(({ status: answered }) => answered, () => 413)));
    expect(answers).toEqual(Array(8).fill(413));
    // Field 15, which nobody knows, fills the message up.
    const search = Buffer.concat([Buffer.from([0x0a, 4]), Buffer.from("gate"), Buffer.from([0x7a])]);
    const message = (bytes: number) => Buffer.concat([search, Buffer.from([0xf5, 0xff, 0xff, 0x03]), Buffer.alloc(bytes - search.length - 4)]);
    expect(await callWith(message(MAX_MESSAGE_BYTES))).toBe(status.OK);
    expect(await callWith(Buffer.concat([message(MAX_MESSAGE_BYTES), Buffer.alloc(1)]))).toBe(status.RESOURCE_EXHAUSTED);
  });

  it("that packs a bomb is refused before it is unpacked", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, " "));
    expect(bomb.length).toBeLessThan(100_000);
    for (const encoding of ["gzip", "deflate", "br", "gzip, gzip"]) {
      const response = await post("/v1/memories", bomb, { "content-encoding": encoding });
      expect({ encoding, status: response.status, problem: await response.json() }).toMatchObject({ encoding, status: 415, problem: { field: "content-type" } });
    }
    const codes = await Promise.all(Array.from({ length: 8 }, () => callWith(Buffer.alloc(64 * 1024 * 1024), { "grpc.default_compression_algorithm": 2 })));
    expect(codes).toEqual(Array(8).fill(status.RESOURCE_EXHAUSTED));
  });

  it("that announces a gRPC message of 4 GiB is refused before it sends it", async () => {
    const session = connectHttp2(`http://${guarded.grpc}`);
    const stream = session.request({ ":method": "POST", ":path": MemoryServiceService.search.path, "content-type": "application/grpc", te: "trailers", authorization: `Bearer ${key}` });
    stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 0]));
    const code = await new Promise((resolve) => {
      stream.once("response", (headers) => { if (headers["grpc-status"] !== undefined) resolve(Number(headers["grpc-status"])); });
      stream.once("trailers", (headers: Record<string, unknown>) => { resolve(Number(headers["grpc-status"])); });
    });
    session.destroy();
    expect(code).toBe(status.RESOURCE_EXHAUSTED);
  });

  const nested = (depth: number, open: string, close: string) => `${open.repeat(depth)}1${close.repeat(depth)}`;

  it.each([LIMITS.jsonDepth + 1, 100_000])("that nests %i deep is refused, wherever it does", async (depth) => {
    const inObjects = nested(depth, '{"a":', "}");
    const bodies = [
      ["/v1/memories", `{"memories":[{"text":"a","metadata":${inObjects}}]}`],
      ["/v1/memories", `{"memories":[{"text":${nested(depth, "[", "]")}}]}`],
      ["/v1/memories", nested(depth, "[", "]")],
      ["/v1/memories/search", `{"query":"q","filters":${nested(depth, '{"NOT":', "}")}}`],
      ["/v1/memories/search", `{"query":"q","filters":${nested(depth, '{"AND":[', "]}")}}`],
      ["/v1/memories/search", `{"query":"q","filters":{"metadata.a":{"in":${nested(depth, "[", "]")}}}}`],
    ] as const;
    for (const [path, body] of bodies) expect({ body: body.slice(0, 60), status: (await post(path, body)).status }).toMatchObject({ status: 400 });
  });

  it("that sends 100,000 conditions is refused at once", async () => {
    const conditions = Array.from({ length: 100_000 }, (_, i) => `{"metadata.a${i}":${i}}`);
    const filters = [`{"OR":[${conditions.join()}]}`, `{${conditions.map((one) => one.slice(1, -1)).join()}}`, `{"NOT":{"AND":[${conditions.join()}]}}`];
    for (const filter of filters) {
      const startedAt = performance.now();
      const response = await post("/v1/memories/search", `{"query":"q","filters":${filter}}`);
      expect({ status: response.status, problem: await response.json() }).toMatchObject({ status: 400, problem: { code: "invalid_argument" } });
      expect(performance.now() - startedAt).toBeLessThan(5_000);
    }
  });

  it("that opens a gRPC connection and says nothing is cut off", async () => {
    expect(await silent).toMatchObject({ isClosed: true });
  });
});
