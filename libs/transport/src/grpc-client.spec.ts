import { setTimeout as delay } from "node:timers/promises";
import { Client, Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall, type ServerWritableStream, type ServiceDefinition } from "@grpc/grpc-js";
import { CHANNELZ_OFF } from "./channelz.js";
import { connect, serverStream, unary } from "./grpc-client.js";

const method = (path: string, responseStream: boolean) => ({
  path, responseStream, requestStream: false,
  requestSerialize: () => Buffer.alloc(0), requestDeserialize: () => ({}), responseSerialize: () => Buffer.alloc(0), responseDeserialize: () => ({}),
});
const TestService = { hold: method("/test.v1.Test/Hold", false), stream: method("/test.v1.Test/Stream", true) } satisfies ServiceDefinition;

/** More than a server of Node lets a peer reset before it ends the connection. */
const MANY = 1_500;
const AT_ONCE = 100;
const CALL_MS = 20_000;

describe("a call to another service", () => {
  let server: Server;
  let client: Client;
  let held: { call: ServerUnaryCall<unknown, unknown>; answer: sendUnaryData<unknown> }[];
  let streams: ServerWritableStream<unknown, unknown>[];
  let cancelled: number;
  beforeEach(async () => {
    [held, streams, cancelled] = [[], [], 0];
    server = new Server(CHANNELZ_OFF);
    server.addService(TestService, {
      hold: (call: ServerUnaryCall<unknown, unknown>, answer: sendUnaryData<unknown>) => {
        held.push({ call, answer });
        call.once("cancelled", () => { cancelled++; });
      },
      stream: (call: ServerWritableStream<unknown, unknown>) => {
        streams.push(call);
        call.once("cancelled", () => { cancelled++; });
        call.write({});
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => { if (error) reject(error); else resolve(bound); });
    });
    client = connect(`127.0.0.1:${port}`);
  });
  afterEach(() => {
    client.close();
    server.forceShutdown();
  });

  const hold = (more: { signal?: AbortSignal; deadlineMs?: number } = {}) =>
    unary(client, TestService.hold, {}, { peer: "peer", deadlineMs: Date.now() + CALL_MS, ...more });
  const stream = (more: { signal?: AbortSignal; deadlineMs?: number } = {}) =>
    serverStream(client, TestService.stream, {}, { peer: "peer", deadlineMs: Date.now() + CALL_MS, ...more });
  const read = async (more: { signal?: AbortSignal; deadlineMs?: number } = {}) => {
    const answers = stream(more);
    while (!(await answers.next()).done);
  };
  const arrived = async (count: number) => { while (held.length + streams.length < count) await delay(5); };

  /** Codes of MANY calls that begin and end before their answers. */
  async function storm(begin: () => { calls: Promise<unknown>[]; end: () => void }): Promise<unknown[]> {
    const codes: unknown[] = [];
    while (codes.length < MANY) {
      const before = held.length + streams.length;
      const { calls, end } = begin();
      await arrived(before + calls.length);
      end();
      for (const outcome of await Promise.allSettled(calls)) codes.push(outcome.status === "rejected" ? (outcome.reason as { code: unknown }).code : "ok");
    }
    return [...new Set(codes)];
  }

  it.each([["one answer", hold], ["many", read]])("of %s survives that others leave theirs, as many as like", async (_kind, ask) => {
    const survivor = hold();
    await arrived(1);
    expect(await storm(() => {
      const leaving = Array.from({ length: AT_ONCE }, () => new AbortController());
      return { calls: leaving.map(({ signal }) => ask({ signal })), end: () => { for (const one of leaving) one.abort(); } };
    })).toEqual(["cancelled"]);
    held[0]?.answer(null, {});
    await expect(survivor).resolves.toEqual({});
    expect(cancelled).toBeGreaterThan(0);
  });

  it.each([["one answer", hold], ["many", read]])("of %s survives that others pass their deadlines, and the peer ends those itself", async (_kind, ask) => {
    const survivor = hold();
    await arrived(1);
    expect(await storm(() => ({ calls: Array.from({ length: AT_ONCE }, () => ask({ deadlineMs: Date.now() + 150 })), end: () => undefined }))).toEqual(["deadline_exceeded"]);
    held[0]?.answer(null, {});
    await expect(survivor).resolves.toEqual({});
    while (cancelled < MANY) await delay(20);
  });

  it("that its caller leaves, or whose reader stops, is taken back from the peer at once", async () => {
    const leaving = new AbortController();
    const left = hold({ signal: leaving.signal });
    await arrived(1);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: "cancelled" });
    const answers = stream();
    await answers.next();
    await answers.return();
    while (cancelled < 2) await delay(5);
  });
});
