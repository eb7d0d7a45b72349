import { connect, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { Server, ServerCredentials, ServerInterceptingCall, type sendUnaryData, type ServiceDefinition } from "@grpc/grpc-js";
import type { GrpcCall } from "./call-context.js";
import { cutOffUnlessTaken, whenTaken } from "./untaken-call.js";

const asIs = (bytes: Buffer) => bytes;
const method = (path: string, responseStream: boolean) => ({ path, requestStream: false, responseStream, requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs });
const TestService: ServiceDefinition = { one: method("/memseal.test.v1.TestService/One", false), many: method("/memseal.test.v1.TestService/Many", true) };
const ANSWER = Buffer.alloc(100_000);

describe.each([
  ["One", "bare", []],
  ["Many", "bare", []],
  ["One", "behind interceptors", [1, 2].map(() => (_method: unknown, call: ConstructorParameters<typeof ServerInterceptingCall>[0]) => new ServerInterceptingCall(call))],
] as const)("an answer of %s, %s", (name, _which, interceptors) => {
  let server: Server;
  let session: ClientHttp2Session;
  let onCall: (call: GrpcCall) => void;

  beforeEach(async () => {
    server = new Server({ interceptors: [...interceptors] });
    server.addService(TestService, {
      one: (call: GrpcCall, answer: sendUnaryData<Buffer>) => {
        onCall(call);
        answer(null, ANSWER);
      },
      many: (call: GrpcCall & { write(bytes: Buffer): void; end(): void }) => {
        onCall(call);
        call.write(ANSWER);
        call.end();
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

  const ask = (headers: Record<string, string> = {}): ClientHttp2Stream => {
    const stream = session.request({ ":method": "POST", ":path": `/memseal.test.v1.TestService/${name}`, "content-type": "application/grpc", te: "trailers", ...headers });
    stream.on("error", () => undefined).pause().end(Buffer.alloc(5));
    return stream;
  };
  const withCall = <T>(use: (call: GrpcCall) => T, headers?: Record<string, string>): Promise<{ stream: ClientHttp2Stream; used: T }> => new Promise((resolve) => {
    const stream = ask(headers);
    onCall = (call) => { resolve({ stream, used: use(call) }); };
  });
  const ticks = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  it("is taken when its receiver has read it, and not before, also where the caller's deadline has passed", async () => {
    let isTaken = false;
    const { stream, used } = await withCall((call) => new Promise<void>((resolve) => { whenTaken(call, () => { isTaken = true; resolve(); }); }), { "grpc-timeout": "50m" });
    await ticks(200);
    expect(isTaken).toBe(false);
    stream.resume();
    await used;
    expect(stream.rstCode).toBe(0);
  });

  it("is cut off where it is not read in time, and its connection lives on", async () => {
    const { stream, used } = await withCall((call) => {
      cutOffUnlessTaken(call, 100);
      return new Promise<void>((resolve) => { whenTaken(call, resolve); });
    });
    await used;
    await new Promise((resolve) => stream.once("close", resolve).resume());
    expect(stream.rstCode).toBe(8);
    const { stream: next, used: taken } = await withCall((call) => new Promise<void>((resolve) => { whenTaken(call, resolve); }));
    next.resume();
    await taken;
  });

  it("of a caller that has left is taken at once", async () => {
    const { stream, used } = await withCall((call) => call);
    stream.close(8);
    await new Promise((resolve) => used.once("cancelled", resolve));
    await ticks(20);
    await new Promise<void>((resolve) => { whenTaken(used, resolve); });
  });
});
