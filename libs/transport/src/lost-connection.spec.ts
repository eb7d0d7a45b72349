import { constants } from "node:http2";
import { connect as connectTcp, createServer, type AddressInfo, type Server as TcpServer, type Socket } from "node:net";
import { Client, Server, ServerCredentials, status, type sendUnaryData, type ServerUnaryCall, type ServiceDefinition } from "@grpc/grpc-js";
import { CHANNELZ_OFF } from "./channelz.js";
import { connect, unary } from "./grpc-client.js";
import { PeerLostError } from "./grpc-status.js";

const TestService = {
  hold: {
    path: "/test.v1.Test/Hold", responseStream: false, requestStream: false,
    requestSerialize: () => Buffer.alloc(0), requestDeserialize: () => ({}), responseSerialize: () => Buffer.alloc(0), responseDeserialize: () => ({}),
  },
} satisfies ServiceDefinition;

/** A frame of HTTP/2 with whole numbers of 32 bits in it. Source: RFC 9113, 4.1. */
function frame(type: number, stream: number, ...words: number[]): Buffer {
  const bytes = Buffer.alloc(9 + 4 * words.length);
  bytes.writeUIntBE(4 * words.length, 0, 3);
  bytes.writeUInt8(type, 3);
  [stream, ...words].forEach((word, i) => bytes.writeUInt32BE(word, i === 0 ? 5 : 5 + 4 * i));
  return bytes;
}
const goAway = (code: number) => frame(7, 0, 2 ** 31 - 1, code);
const resetFirstStream = (code: number) => frame(3, 1, code);

describe("a call under way", () => {
  let server: Server;
  let relay: TcpServer;
  /** Ends of connections at the relay: the caller's. */
  let sockets: Socket[];
  let client: Client;
  let answer: sendUnaryData<unknown> | undefined;
  let answered: Promise<unknown>;

  beforeEach(async () => {
    [sockets, answer] = [[], undefined];
    server = new Server(CHANNELZ_OFF);
    const arrived = new Promise<void>((resolve) => {
      server.addService(TestService, { hold: (_call: ServerUnaryCall<unknown, unknown>, done: sendUnaryData<unknown>) => { answer = done; resolve(); } });
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => { if (error) reject(error); else resolve(bound); });
    });
    relay = createServer((socket) => {
      sockets.push(socket);
      const behind = connectTcp(port, "127.0.0.1");
      for (const [from, to] of [[socket, behind], [behind, socket]] as const) from.on("error", () => undefined).once("close", () => { to.destroy(); }).pipe(to);
    });
    await new Promise<void>((resolve) => { relay.listen(0, "127.0.0.1", resolve); });
    client = connect(`127.0.0.1:${(relay.address() as AddressInfo).port}`);
    answered = unary(client, TestService.hold, {}, { peer: "peer", deadlineMs: Date.now() + 20_000 }).catch((error: unknown) => error);
    await arrived;
  });
  afterEach(() => {
    client.close();
    server.forceShutdown();
    relay.close();
    for (const socket of sockets) socket.destroy();
  });

  it.each<[string, () => void]>([
    ["ends", () => { sockets[0].end(); }],
    ["is reset", () => { sockets[0].resetAndDestroy(); }],
    ["is shut down with all its calls", () => { sockets[0].end(Buffer.concat([resetFirstStream(constants.NGHTTP2_CANCEL), goAway(constants.NGHTTP2_CANCEL)])); }],
    ["breaks: the peer finds a fault in it", () => { sockets[0].end(goAway(constants.NGHTTP2_PROTOCOL_ERROR)); }],
    ["breaks: the peer has one", () => { sockets[0].end(goAway(constants.NGHTTP2_INTERNAL_ERROR)); }],
  ])("is lost, and not failed, when its connection %s", async (_how, lose) => {
    lose();
    expect(await answered).toBeInstanceOf(PeerLostError);
  });

  it.each<[string, () => void]>([
    ["says so", () => { answer?.({ code: status.INTERNAL, details: "boom" }); }],
    ["resets it alone", () => { sockets[0].write(resetFirstStream(constants.NGHTTP2_INTERNAL_ERROR)); }],
    ["ends it without a word", () => { sockets[0].write(resetFirstStream(constants.NGHTTP2_NO_ERROR)); }],
  ])("is failed, and not lost, when its peer %s", async (_how, fail) => {
    fail();
    expect(await answered).toMatchObject({ code: "internal", message: "internal error" });
  });
});
