import { Server, ServerCredentials, type ServerUnaryCall, type ServerWritableStream, type sendUnaryData } from "@grpc/grpc-js";
import { EmbedderService, RerankerService, type RerankPart, type RerankRequest, type RerankResponse } from "@memseal/contracts/reranker";
import { parseUserHash } from "@memseal/crypto";
import { CALLER_KEY, TransportSecurity } from "@memseal/transport";
import type { TenantCall } from "./call.js";
import { RerankerClient } from "./reranker-client.js";

const callOf = (digit: string): TenantCall => ({
  requestId: "r-1",
  deadlineMs: Date.now() + 10_000,
  signal: new AbortController().signal,
  caller: { tenant: parseUserHash(digit.repeat(64)), namespace: "default", actor: "api-key test", scopes: ["read"] },
});
const request: RerankRequest = { query: "q", passages: ["a", "b"] };

/** A real server on a real connection, that answers what a test says. */
let server: Server;
let client: RerankerClient;
let logits: number[];
let parts: RerankPart[];
let callers: (string | undefined)[];

beforeEach(async () => {
  [logits, parts, callers] = [[], [], []];
  server = new Server();
  server.addService(RerankerService, {
    rerank: (call: ServerUnaryCall<RerankRequest, RerankResponse>, answer: sendUnaryData<RerankResponse>) => {
      callers.push(call.metadata.get(CALLER_KEY)[0]?.toString());
      answer(null, { model: "m", logits, tokens: 9 });
    },
    rerankStream: (call: ServerWritableStream<RerankRequest, RerankPart>) => {
      for (const part of parts) call.write(part);
      call.end();
    },
  });
  server.addService(EmbedderService, { embedQuery: () => undefined, embedDocuments: () => undefined });
  const port = await new Promise<number>((resolve, reject) => { server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => { if (error) reject(error); else resolve(bound); }); });
  const address = `127.0.0.1:${port}`;
  client = new RerankerClient({ embedderAddress: address, rerankerAddress: address, security: TransportSecurity.LOOPBACK });
});

afterEach(() => {
  client.close();
  server.forceShutdown();
});

const streamed = async () => {
  const all: RerankPart[] = [];
  for await (const part of client.rerankStream(callOf("0"), request)) all.push(part);
  return all;
};
const part = (indexes: number[], of: number[]): RerankPart => ({ model: "m", indexes, logits: of, tokens: 1 });

describe("RerankerClient", () => {
  it("hands on one finite logit a passage", async () => {
    logits = [1.5, -2];
    expect(await client.rerank(callOf("0"), request)).toEqual({ model: "m", logits: [1.5, -2], tokens: 9 });
    parts = [part([1], [-2]), part([0], [1.5])];
    expect(await streamed()).toEqual(parts);
  });

  it.each([
    ["NaN", [1, NaN]],
    ["an infinity", [-Infinity, 1]],
    ["too few", [1]],
    ["too many", [1, 2, 3]],
    ["none", []],
  ])("takes no scores where %s is among them", async (_what, given) => {
    logits = given;
    await expect(client.rerank(callOf("0"), request)).rejects.toMatchObject({ code: "internal" });
  });

  it("takes the scores of the first so many where these are enough, and no fewer", async () => {
    const enough = { ...request, atLeast: 1 };
    for (const given of [[1.5], [1.5, -2]]) {
      logits = given;
      expect((await client.rerank(callOf("0"), enough)).logits).toEqual(given);
    }
    for (const given of [[], [1, 2, 3]]) {
      logits = given;
      await expect(client.rerank(callOf("0"), enough)).rejects.toMatchObject({ code: "internal" });
    }
    logits = [1.5];
    await expect(client.rerank(callOf("0"), { ...request, atLeast: 12 })).rejects.toMatchObject({ code: "internal" });
  });

  it.each([
    ["NaN", [part([0], [1]), part([1], [NaN])]],
    ["too few", [part([0], [1])]],
    ["one twice", [part([0], [1]), part([0], [1]), part([1], [1])]],
    ["one of no passage", [part([0, 1, 2], [1, 1, 1])]],
    ["an index without its score", [part([0, 1], [1])]],
  ])("ends a stream where %s is in it", async (_what, given) => {
    parts = given;
    await expect(streamed()).rejects.toMatchObject({ code: "internal" });
  });

  it("sends the same label for calls of one user, another for another's, and none that names them", async () => {
    logits = [1, 2];
    for (const digit of ["a", "a", "b"]) await client.rerank(callOf(digit), request);
    const [first, again, other] = callers;
    expect(again).toBe(first);
    expect(other).not.toBe(first);
    expect(first).toMatch(/^[\w-]{16}$/);
  });
});
