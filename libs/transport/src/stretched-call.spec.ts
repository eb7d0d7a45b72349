import { connect, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { Server, ServerCredentials, type sendUnaryData, type ServiceDefinition } from "@grpc/grpc-js";
import type { GrpcCall } from "./call-context.js";
import { cutOffUnlessSent } from "./stretched-call.js";

const asIs = (bytes: Buffer) => bytes;
const method = (path: string, requestStream: boolean) => ({ path, requestStream, responseStream: requestStream, requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs });
const TestService: ServiceDefinition = { one: method("/memseal.test.v1.TestService/One", false), many: method("/memseal.test.v1.TestService/Many", true) };
const WITHIN_MS = 300;
/** A message without a byte, in its frame. */
const EMPTY = Buffer.alloc(5);
/** More than a client's streams hold that nobody reads. */
const ANSWER = Buffer.alloc(100_000);

describe.each(["One", "Many"])("a request of %s", (name) => {
  let server: Server;
  let session: ClientHttp2Session;

  beforeEach(async () => {
    server = new Server({ interceptors: [cutOffUnlessSent(WITHIN_MS)] });
    server.addService(TestService, {
      one: (_call: GrpcCall, answer: sendUnaryData<Buffer>) => { setTimeout(() => { answer(null, EMPTY); }, 2 * WITHIN_MS); },
      many: (call: GrpcCall & { on(event: string, listener: () => void): void; write(bytes: Buffer): void; end(): void }) => {
        call.on("data", () => { call.write(ANSWER); });
        call.on("end", () => { setTimeout(() => { call.end(); }, 2 * WITHIN_MS); });
      },
    });
    const port = await new Promise<number>((resolve, reject) => { server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => { if (error) reject(error); else resolve(bound); }); });
    // Of every answer it takes this much, and no more unless it is read.
    session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 1_000 } });
  });
  afterEach(() => {
    session.destroy();
    server.forceShutdown();
  });

  const open = (headers: Record<string, string> = {}): ClientHttp2Stream =>
    session.request({ ":method": "POST", ":path": `/memseal.test.v1.TestService/${name}`, "content-type": "application/grpc", te: "trailers", ...headers }, { endStream: false }).resume();
  const ended = (stream: ClientHttp2Stream) => new Promise<{ status: unknown; message: unknown; rstCode: number | undefined; tookMs: number }>((resolve) => {
    const openedAt = performance.now();
    let told: Record<string, unknown> = {};
    const tell = (headers: Record<string, unknown>) => { if (headers["grpc-status"] !== undefined) told = headers; };
    stream.on("response", tell).on("trailers", tell).on("error", () => undefined);
    stream.once("close", () => { resolve({ status: told["grpc-status"], message: told["grpc-message"], rstCode: stream.rstCode, tookMs: performance.now() - openedAt }); });
  });
  const drip = async (stream: ClientHttp2Stream) => {
    stream.write(Buffer.from([0, 0, 0, 4, 0]));
    while (!stream.closed && stream.writable) {
      stream.write(Buffer.of(0));
      await delay(20);
    }
  };

  it.each<[string, (stream: ClientHttp2Stream) => unknown]>([
    ["that never comes", () => undefined],
    ["that comes in part", (stream) => stream.write(Buffer.of(0, 0))],
    ["that comes in drops", drip],
    ["that never ends", (stream) => stream.write(EMPTY)],
  ])("%s is refused in time, and its connection lives on", async (_what, send) => {
    const stream = open();
    send(stream);
    const { status, message, rstCode, tookMs } = await ended(stream);
    expect({ status, message: decodeURI(String(message)), rstCode }).toEqual({ status: "4", message: "the request did not arrive within 0.3 s; send it whole", rstCode: 0 });
    expect(tookMs).toBeGreaterThanOrEqual(WITHIN_MS - 50);
    const next = open();
    next.end(EMPTY);
    expect(await ended(next)).toMatchObject({ status: "0", rstCode: 0 });
  });

  it("of a caller that reads nothing is cut off all the same", async () => {
    const stream = open().pause();
    stream.write(EMPTY);
    // Were its stream still open, it would now be told a status.
    setTimeout(() => stream.resume(), 2_000);
    const { status, rstCode } = await ended(stream);
    // One call is answered with a status alone, which waits for nobody to read.
    expect({ status, rstCode }).toEqual(name === "One" ? { status: "4", rstCode: 0 } : { status: undefined, rstCode: 8 });
  });

  it("holds no stream after its own deadline has passed", async () => {
    const stream = open({ "grpc-timeout": "20m" });
    stream.write(Buffer.of(0, 0));
    expect(await ended(stream)).toMatchObject({ status: "4", message: "Deadline%20exceeded" });
  });

  it("that came in time is answered, however long that takes", async () => {
    const stream = open();
    stream.end(EMPTY);
    const { status, tookMs } = await ended(stream);
    expect(status).toBe("0");
    expect(tookMs).toBeGreaterThan(WITHIN_MS);
  });
});
