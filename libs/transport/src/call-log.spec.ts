import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, Metadata, Server, ServerCredentials, status, type sendUnaryData, type ServerUnaryCall, type ServiceDefinition, type ServiceError } from "@grpc/grpc-js";
import { Logger, Metrics } from "@memseal/telemetry";
import { observeCalls } from "./call-log.js";

const bytes = { requestSerialize: (value: Buffer) => value, requestDeserialize: (value: Buffer) => value, responseSerialize: (value: Buffer) => value, responseDeserialize: (value: Buffer) => value };
const method = (name: string) => ({ path: `/memseal.test.v1.TestService/${name}`, requestStream: false, responseStream: false, ...bytes });
const service: ServiceDefinition = { answer: method("Answer"), wait: method("Wait"), uncounted: method("Uncounted") };
const METHOD = "memseal.test.v1.TestService";

let dir: string;
let server: Server;
let client: Client;
let metrics: Metrics;
let lines: Record<string, unknown>[];
/** Request ids as the handler met them. */
let seen: unknown[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "memseal-calls-"));
  lines = [];
  seen = [];
  metrics = new Metrics("stable");
  const log = new Logger("test", (line) => lines.push(JSON.parse(line) as Record<string, unknown>));
  server = new Server({ interceptors: [observeCalls({ log, metrics, methods: [`${METHOD}/Answer`, `${METHOD}/Wait`] })] });
  const answer = (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
    seen.push(call.metadata.get("x-request-id")[0]);
    if (call.request.toString() === "fail") done({ code: status.NOT_FOUND, details: "memory not found" });
    else done(null, call.request);
  };
  server.addService(service, { answer, uncounted: answer, wait: () => undefined });
  const address = `unix:${join(dir, "test.sock")}`;
  await new Promise((resolve, reject) => { server.bindAsync(address, ServerCredentials.createInsecure(), (error) => { if (error) reject(error); else resolve(undefined); }); });
  client = new Client(address, credentials.createInsecure(), { "grpc.default_authority": "localhost" });
});

afterEach(() => {
  client.close();
  server.forceShutdown();
  rmSync(dir, { recursive: true });
});

function call(name: string, request: string, requestId?: string, deadlineMs = 5_000) {
  const metadata = new Metadata();
  if (requestId !== undefined) metadata.set("x-request-id", requestId);
  return new Promise<{ error: ServiceError | null; initial: unknown; trailing: unknown }>((resolve) => {
    let initial: unknown;
    let outcome: ServiceError | null = null;
    const made = client.makeUnaryRequest(method(name).path, bytes.requestSerialize, bytes.responseDeserialize, Buffer.from(request), metadata, { deadline: Date.now() + deadlineMs }, (error) => { outcome = error; });
    made.on("metadata", (received: Metadata) => { initial = received.get("x-request-id")[0]; });
    made.on("status", ({ metadata: trailers }: { metadata: Metadata }) => {
      setImmediate(() => { resolve({ error: outcome, initial, trailing: trailers.get("x-request-id")[0] }); });
    });
  });
}

describe("the log of calls", () => {
  it("has one line a call with the caller's request id, which goes on to the handler and back", async () => {
    expect(await call("Answer", "x", "req-1")).toMatchObject({ error: null, initial: "req-1", trailing: "req-1" });
    expect(seen).toEqual(["req-1"]);
    expect(lines).toEqual([expect.objectContaining({ event: "call", method: `${METHOD}/Answer`, code: "ok", requestId: "req-1", durationMs: expect.any(Number) as number })]);
    expect(await metrics.render()).toContain(`memseal_calls_total{method="${METHOD}/Answer",code="ok",track="stable"} 1`);
    expect(await metrics.render()).toMatch(/memseal_call_duration_seconds_count\{[^}]*TestService\/Answer"[^}]*\} 1/);
  });

  it("names the code of a call that failed, and sends its id back with the failure", async () => {
    expect(await call("Answer", "fail", "req-2")).toMatchObject({ error: { code: status.NOT_FOUND }, trailing: "req-2" });
    expect(lines).toEqual([expect.objectContaining({ code: "not_found", requestId: "req-2" })]);
  });

  it.each(["", "x".repeat(65), "a b", "grüezi", '{"user":"ada"}'])("gives %j, which is no request id, a new one", async (given) => {
    const id = /^[0-9a-f-]{36}$/;
    expect((await call("Answer", "x", Buffer.from(given).toString("latin1").replace(/[^\x20-\x7e]/g, "?"))).trailing).toMatch(id);
    expect(seen).toEqual([expect.stringMatching(id)]);
  });

  it("counts a call whose caller left as cancelled, once", async () => {
    expect(await call("Wait", "x", "req-3", 80)).toMatchObject({ error: { code: status.DEADLINE_EXCEEDED } });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ requestId: "req-3", code: expect.stringMatching(/^(cancelled|deadline_exceeded)$/) as string });
  });

  it("leaves out the calls of others, such as health", async () => {
    await call("Uncounted", "x", "req-4");
    expect(lines).toEqual([]);
  });
});
