import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary, type DescMethod } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { create } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, status, type ServiceError } from "@grpc/grpc-js";
import { FILE_DESCRIPTORS, MEMORY_PACKAGE } from "@memseal/contracts";
import fc from "fast-check";
import type { Gateway } from "./gateway.js";
import { almost, valid, wild, type JsonSchema } from "./json-schema-arbitrary.js";
import { Stack } from "./stack.js";
import { wireMessage, wireNoise } from "./wire-arbitrary.js";

/** How long each transport is tried; `npm run soak:fuzz` takes 300 in all. */
const SECONDS = Number(process.env["MEMSEAL_FUZZ_S"] ?? 12) / 2;
const SEED = Number(process.env["MEMSEAL_FUZZ_SEED"] ?? randomInt(2 ** 31));
/** What a gateway may take when requests of up to 8 MiB come eight at a time, and what either service behind it may. */
const MAX_RSS_MIB = 1_024;
/** Requests under way at the same time. */
const AT_ONCE = 8;
/** More than can be sent: what a rate refuses is not tried on what lies behind it. */
const NO_RATE = "read=999999,write=999999,rerank=999999";
const REFUSED_BY_RATE = /too many (read|write|rerank) requests|too many failed authentications/;
/** Ids that are asked for: the newest, since others may be deleted by now. */
const KEPT_IDS = 50;
/** Of Node: a request line and headers of more are refused (431). */
const MAX_HEAD_BYTES = 16_384;

let stack: Stack;
let gateway: Gateway;
/** Everything that a caller may hold, and what is no credential. Whoever erases is a user apart, so that the others keep what they have. */
const HOLDERS = ["known", "delegate", "erases", "reads", "nonsense", "unknown", "unsigned"] as const;
type Holder = (typeof HOLDERS)[number];
let keys: Readonly<Record<Holder, string>>;

beforeAll(async () => {
  stack = await Stack.start();
  gateway = await stack.startGateway({ MEMSEAL_RATES_CREDENTIAL: NO_RATE, MEMSEAL_RATES_TENANT: NO_RATE, MEMSEAL_RATE_FAILED_AUTH: "1000000" });
  const everything = ["read", "write", "admin"];
  keys = {
    known: await stack.createKey("fuzz-known", everything),
    delegate: await stack.createDelegateKey("fuzz", everything),
    erases: await stack.createKey("fuzz-erases", everything),
    reads: await stack.createKey("fuzz-reads", ["read"]),
    nonsense: "msk_nonsense",
    unknown: `msk_AAAAAAAAAAAA_${"A".repeat(43)}`,
    unsigned: "eyJhbGciOiJub25lIn0.e30.",
  };
  console.log(`fuzz: MEMSEAL_FUZZ_SEED=${SEED}, ${SECONDS} s over each transport`);
});

afterAll(async () => {
  await stack.stop();
});

afterEach(async () => {
  // Whatever was sent, the next caller is served.
  const key = await stack.createKey(`after-${randomInt(2 ** 31)}`);
  expect((await gateway.ask("http", { method: "add", key, json: { memories: [{ text: "The heron stands in the reeds." }] } })).code).toBe("ok");
  expect((await gateway.ask("grpc", { method: "search", key, json: { query: "Which bird is in the reeds?" } })).body).toMatchObject({ dense: true, reranked: true, total_matching: 1 });
});

/** Peak of resident memory so far, in MiB. */
function peakMib(pid: number): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kib) / 1_024);
}

async function fuzz<T>(request: fc.Arbitrary<T>, send: (request: T) => Promise<string>): Promise<Map<string, number>> {
  const answers = new Map<string, number>();
  const batch = fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: AT_ONCE }), async (requests) => {
    for (const answer of await Promise.all(requests.map(send))) answers.set(answer, (answers.get(answer) ?? 0) + 1);
  });
  await fc.assert(batch, { seed: SEED, numRuns: 1e9, interruptAfterTimeLimit: SECONDS * 1_000, markInterruptAsFailure: false });
  const peaks = stack.pids.map(peakMib);
  console.log(`fuzz: ${[...answers.values()].reduce((sum, n) => sum + n, 0)} requests, peaks of ${peaks.join(", ")} MiB: ${[...answers].sort().map(([answer, n]) => `${answer} ${n}`).join(", ")}`);
  for (const peak of peaks) expect(peak).toBeLessThan(MAX_RSS_MIB);
  return answers;
}

/** Mostly whoever may do the call; its name as either transport has it. */
function bearerFor(call: string): fc.Arbitrary<string | undefined> {
  const name = call.toLowerCase();
  const usual: Holder = name === "createtoken" ? "delegate" : name === "erase" ? "erases" : "known";
  const others = fc.constantFrom(...HOLDERS.filter((holder) => name !== "erase" || holder !== "known"));
  return fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, { weight: 2, arbitrary: others }, { weight: 1, arbitrary: fc.constant(undefined) })
    .map((holder) => holder && `Bearer ${keys[holder]}`);
}
/** What a header can carry. */
const headerText = fc.string({ unit: fc.integer({ min: 32, max: 126 }).map((code) => String.fromCharCode(code)), maxLength: 300 }).map((text) => text.trim());
const rareHeaders = fc.dictionary(
  fc.constantFrom("idempotency-key", "if-match", "request-timeout-ms", "x-request-id", "x-forwarded-for", "traceparent", "user-id", "x-tenant", "accept"),
  fc.oneof(headerText, fc.constantFrom("1", "0", "-1", "1000", "99999999999999999999", '"1"', "*", "a", "NaN", "")),
  { maxKeys: 2 },
);
const headers = fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: rareHeaders });

interface Operation {
  operationId: string;
  parameters: { name: string; in: string; schema?: JsonSchema; content?: { "application/json": { schema: JsonSchema } } }[];
  requestBody?: { content: Record<string, { schema: JsonSchema }> };
}

describe("whatever is sent", () => {
  it("over HTTP is answered as the document says, never 500, and the next caller is served", async () => {
    const document = (await (await gateway.fetch("/docs/openapi.json")).json()) as { paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, JsonSchema> } };
    const resolve = (ref: string) => document.components.schemas[ref.slice("#/components/schemas/".length)];
    const of = (schema: JsonSchema) => {
      const described = valid(schema, resolve);
      return fc.oneof({ weight: 4, arbitrary: described }, { weight: 4, arbitrary: almost(described) }, { weight: 1, arbitrary: wild });
    };
    const requests = Object.entries(document.paths).filter(([path]) => path.startsWith("/v1/")).flatMap(([path, verbs]) => Object.entries(verbs).map(([verb, { operationId, parameters, requestBody }]) => {
      const query = fc.record(
        Object.fromEntries(parameters.filter((one) => one.in === "query").map(({ name, schema, content }) => [name, content ? of(content["application/json"].schema).map((value) => JSON.stringify(value) ?? "") : of(schema!).map(String)])),
        { requiredKeys: [] },
      );
      const [content] = Object.entries(requestBody?.content ?? {});
      const [mediaType, schema] = [content?.[0] ?? "application/json", content?.[1].schema ?? {}];
      const json = of(schema).map((value) => JSON.stringify(value) ?? "");
      const body = fc.oneof(
        { weight: 12, arbitrary: json.map((text) => Buffer.from(text)) },
        { weight: 1, arbitrary: fc.tuple(json, fc.nat()).map(([text, at]) => Buffer.from(text.slice(0, at % (text.length + 1)))) },
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)) },
      );
      const type = fc.oneof({ weight: 12, arbitrary: fc.constant(mediaType) }, { weight: 1, arbitrary: fc.constantFrom("application/json; charset=utf-16", "text/plain", "multipart/form-data", "application/merge-patch+json", "a/b; c=\"", ",") });
      const id = fc.oneof({ weight: 4, arbitrary: fc.nat(50) }, { weight: 1, arbitrary: fc.oneof(fc.uuid(), fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }), fc.constantFrom("..", "%00", "a/b", "__proto__", "7".repeat(200))) });
      return fc.record({ operationId: fc.constant(operationId), path: fc.constant(path), verb: fc.constant(verb.toUpperCase()), query, body: fc.constant(requestBody).chain((has) => (has ? body : fc.constant(undefined))), type, id, authorization: bearerFor(operationId), headers });
    }));
    const ids: string[] = [];
    const answers = await fuzz(fc.oneof(...requests), async ({ operationId, path, verb, query, body, type, id, authorization, headers: others }) => {
      const memory = typeof id === "number" ? (ids[id % (ids.length || 1)] ?? "7") : id;
      const target = `${path.replace("{id}", encodeURIComponent(memory))}?${new URLSearchParams(query as Record<string, string>).toString()}`;
      const response = await gateway.fetch(target, {
        method: verb,
        headers: { ...(authorization === undefined ? {} : { authorization }), ...(body === undefined ? {} : { "content-type": type }), ...others },
        ...(body === undefined ? {} : { body }),
      }).catch((error: unknown) => {
        // The connection is closed with the answer, which is lost where more of such a head was still on its way.
        if (target.length < MAX_HEAD_BYTES) throw error;
        return undefined;
      });
      if (response === undefined) return "431 lost";
      const text = await response.text();
      if (response.status === 201 && operationId === "add") {
        ids.unshift(...(JSON.parse(text) as { results: { id: string }[] }).results.map((one) => one.id));
        ids.length = Math.min(ids.length, KEPT_IDS);
      }
      expect(text).not.toMatch(REFUSED_BY_RATE);
      if (!response.ok) expect(JSON.parse(text)).toMatchObject({ status: response.status, request_id: response.headers.get("x-request-id") });
      expect(response.status).not.toBe(500);
      expect(text).not.toMatch(/event: error\ndata: .*"code":"internal"/);
      return `${response.status}`;
    });
    // It got past the door, and was told of faults.
    for (const expected of ["200", "201", "400", "401"]) expect([...answers.keys()]).toContain(expected);
  }, (SECONDS + 60) * 1_000);

  it("over gRPC is answered, never INTERNAL or UNKNOWN, and the next caller is served", async () => {
    const files = create(FileDescriptorSetSchema, { file: FILE_DESCRIPTORS.map((bytes) => fromBinary(FileDescriptorProtoSchema, Buffer.from(bytes, "base64"))) });
    const { methods } = createFileRegistry(files).getService(`${MEMORY_PACKAGE}.MemoryService`)!;
    const client = new Client(gateway.grpc, credentials.createInsecure(), { "grpc.max_receive_message_length": -1 });
    const metadataOf = (call: string) => fc.tuple(bearerFor(call), headers, fc.dictionary(fc.constantFrom("a-bin", "authorization-bin", "x-request-id-bin", "idempotency-key-bin"), fc.uint8Array({ maxLength: 40 }), { maxKeys: 1 }));
    const requests = methods.map((method) => fc.record({
      method: fc.constant(method),
      bytes: fc.oneof({ weight: 5, arbitrary: wireMessage(method.input) }, { weight: 1, arbitrary: wireNoise(method.input) }),
      metadata: metadataOf(method.name),
    }));
    const answers = await fuzz(fc.oneof(...requests), async ({ method, bytes, metadata: [authorization, others, binary] }) => {
      const metadata = new Metadata();
      if (authorization !== undefined) metadata.set("authorization", authorization);
      for (const [name, value] of Object.entries(others)) metadata.set(name, value);
      for (const [name, value] of Object.entries(binary)) metadata.set(name, Buffer.from(value));
      const { code, details } = await call(client, method, bytes, metadata);
      expect([status.INTERNAL, status.UNKNOWN]).not.toContain(code);
      expect(details).not.toMatch(REFUSED_BY_RATE);
      return status[code];
    });
    client.close();
    for (const expected of ["OK", "INVALID_ARGUMENT", "UNAUTHENTICATED"]) expect([...answers.keys()]).toContain(expected);
  }, (SECONDS + 60) * 1_000);
});

const DONE = { code: status.OK, details: "" };

/** One call with these bytes as its message; resolves with its status and what was said. */
function call(client: Client, { name, parent, methodKind }: DescMethod, bytes: Buffer, metadata: Metadata): Promise<{ code: status; details: string }> {
  const path = `/${parent.typeName}/${name}`;
  const asIs = (value: Buffer) => value;
  const options = { deadline: Date.now() + 30_000 };
  return new Promise((resolve) => {
    if (methodKind === "unary") {
      client.makeUnaryRequest(path, asIs, asIs, bytes, metadata, options, (error: ServiceError | null) => { resolve(error ?? DONE); });
    } else {
      client.makeServerStreamRequest(path, asIs, asIs, bytes, metadata, options).on("data", () => undefined).on("error", (error: ServiceError) => { resolve(error); }).on("end", () => { resolve(DONE); });
    }
  });
}
