import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Logger } from "@memseal/telemetry";
import { EmbeddingsEndpoint, vectorsOf } from "./embeddings-endpoint.js";

const KEY = "sk-canary-7f3a";
const TEXT = "the canary text 91c2";

interface Asked {
  path: string | undefined;
  authorization: string | undefined;
  body: { model: string; input: string[]; encoding_format: string };
}

type Answer = (asked: Asked, response: ServerResponse, request: IncomingMessage) => void;

/** A server of the protocol that answers as each test says, one answer a request, the last one again. */
class FakeProvider {
  readonly asked: Asked[] = [];
  readonly lines: string[] = [];
  answers: Answer[] = [];
  private constructor(private readonly server: Server) {}

  static async start(): Promise<FakeProvider> {
    const server = createServer();
    const provider = new FakeProvider(server);
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const asked = { path: request.url, authorization: request.headers.authorization, body: JSON.parse(Buffer.concat(chunks).toString()) as Asked["body"] };
        provider.asked.push(asked);
        const answer = provider.answers.length > 1 ? provider.answers.shift() : provider.answers[0];
        answer?.(asked, response, request);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return provider;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  endpoint(timeoutMs = 2_000): EmbeddingsEndpoint {
    const log = new Logger("test", (line) => { this.lines.push(line); });
    return new EmbeddingsEndpoint({ url: new URL(`http://127.0.0.1:${this.port}/v1/`), model: "large", dimension: 2, apiKey: KEY, timeoutMs, log });
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

const patient = () => ({ signal: new AbortController().signal, deadlineMs: Date.now() + 10_000 });
const json = (body: unknown): Answer => (_asked, response) => { response.setHeader("content-type", "application/json").end(typeof body === "string" ? body : JSON.stringify(body)); };
const status = (code: number, headers: Record<string, string> = {}): Answer => (_asked, response) => { response.writeHead(code, headers).end(`no: ${KEY}`); };
/** As the protocol has it, in an order of its own. */
const embeddings: Answer = ({ body }, response) => {
  const data = body.input.map((text, index) => ({ object: "embedding", index, embedding: [3 * text.length, 4 * text.length] })).reverse();
  response.setHeader("content-type", "application/json").end(JSON.stringify({ object: "list", data, model: "large", usage: { prompt_tokens: 1, total_tokens: 1 } }));
};

describe("EmbeddingsEndpoint", () => {
  let provider: FakeProvider;
  beforeEach(async () => { provider = await FakeProvider.start(); });
  afterEach(() => provider.stop());

  it("sends texts, model and key, and gives unit vectors in the order of the texts", async () => {
    provider.answers = [(asked, response, request) => {
      if (asked.body.input.length === 2) json({ data: [{ index: 1, embedding: [0, 5] }, { index: 0, embedding: [3, 4] }] })(asked, response, request);
      else embeddings(asked, response, request);
    }];
    expect(await provider.endpoint().embed(["a", "b"], patient())).toEqual([Float32Array.of(0.6, 0.8), Float32Array.of(0, 1)]);
    expect(provider.asked).toEqual([{ path: "/v1/embeddings", authorization: `Bearer ${KEY}`, body: { model: "large", input: ["a", "b"], encoding_format: "float" } }]);
  });

  it.each<[string, unknown, string]>([
    ["fewer vectors", { data: [] }, "answers 0 vectors for 1 texts"],
    ["more vectors", { data: [0, 1].map((index) => ({ index, embedding: [1, 1] })) }, "answers 2 vectors for 1 texts"],
    ["another dimension", { data: [{ index: 0, embedding: [1, 1, 1] }] }, "answers vectors of 3 values where 2 are configured"],
    ["a value that is not finite", '{"data":[{"index":0,"embedding":[1e999,1]}]}', "something else than embeddings"],
    ["NaN", '{"data":[{"index":0,"embedding":[NaN,1]}]}', "something else than embeddings"],
    ["null for a value", { data: [{ index: 0, embedding: [null, 1] }] }, "something else than embeddings"],
    ["values too large to have a length", { data: [{ index: 0, embedding: [1e300, 1e300] }] }, "not finite"],
    ["a vector of zeros", { data: [{ index: 0, embedding: [0, 0] }] }, "of length zero"],
    ["an index twice or wrong", { data: [{ index: 1, embedding: [1, 1] }] }, "which vector is whose"],
    ["no embeddings", { error: { message: `bad key ${KEY}` } }, "something else than embeddings"],
    ["no JSON", `<html>${KEY}`, "something else than embeddings"],
  ])("refuses an answer with %s, at once", async (_name, body, problem) => {
    provider.answers = [json(body)];
    await expect(provider.endpoint().embed([TEXT], patient())).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining(problem) as string });
    expect(provider.asked).toHaveLength(1);
  });

  it("stops reading an answer that is larger than what was asked for", async () => {
    let sent = 0;
    provider.answers = [(_asked, response) => {
      const more = () => { while (!response.destroyed && sent < 1e8 && response.write(" ".repeat(65_536))) sent += 65_536; };
      response.on("drain", more);
      more();
    }];
    await expect(provider.endpoint().embed([TEXT], patient())).rejects.toMatchObject({ message: expect.stringContaining("more than was asked for") as string });
    expect(sent).toBeLessThan(2e7);
  });

  it("tries again after 429, a failure of the server and a lost connection, as long as they pass", async () => {
    for (const first of [status(429), status(503), ((_asked, _response, request) => { request.socket.destroy(); }) as Answer]) {
      provider.answers = [first, embeddings];
      await expect(provider.endpoint().embed(["a"], patient())).resolves.toHaveLength(1);
    }
  });

  it("gives up after three attempts: overloaded for 429, unavailable otherwise", async () => {
    provider.answers = [status(429)];
    await expect(provider.endpoint().embed([TEXT], patient())).rejects.toMatchObject({ code: "resource_exhausted", retryAfterS: 1 });
    provider.answers = [status(500)];
    await expect(provider.endpoint().embed([TEXT], patient())).rejects.toMatchObject({ code: "unavailable" });
    expect(provider.asked).toHaveLength(6);
  });

  it("does not wait longer than its caller for another attempt", async () => {
    provider.answers = [status(429, { "retry-after": "30" })];
    const startMs = performance.now();
    await expect(provider.endpoint().embed([TEXT], { ...patient(), deadlineMs: Date.now() + 2_000 })).rejects.toMatchObject({ code: "resource_exhausted" });
    expect(performance.now() - startMs).toBeLessThan(1_500);
    expect(provider.asked).toHaveLength(1);
  });

  it("does not repeat what is refused, and says where to look", async () => {
    provider.answers = [status(401)];
    await expect(provider.endpoint().embed([TEXT], patient())).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining("refuses the call with 401") as string });
    expect(provider.asked).toHaveLength(1);
  });

  it("follows no redirect: the key and the texts are for one host", async () => {
    const other = await FakeProvider.start();
    other.answers = [embeddings];
    provider.answers = [status(307, { location: `http://127.0.0.1:${other.port}/v1/embeddings` })];
    await expect(provider.endpoint().embed([TEXT], patient())).rejects.toMatchObject({ code: "unavailable" });
    expect(other.asked).toEqual([]);
    await other.stop();
  });

  it("ends with the caller's deadline, its own timeout, or the caller", async () => {
    provider.answers = [() => undefined];
    await expect(provider.endpoint().embed([TEXT], { ...patient(), deadlineMs: Date.now() + 60 })).rejects.toMatchObject({ code: "deadline_exceeded" });
    await expect(provider.endpoint(20).embed([TEXT], patient())).rejects.toMatchObject({ code: "unavailable" });
    const leaver = new AbortController();
    const left = provider.endpoint().embed([TEXT], { ...patient(), signal: leaver.signal });
    setTimeout(() => { leaver.abort(); }, 20);
    await expect(left).rejects.toMatchObject({ code: "cancelled" });
  });

  it("says in the log what went wrong, and neither text nor key", async () => {
    for (const answer of [status(500), status(401), json({ error: KEY }), json(`{"data": "${TEXT}"`)]) {
      provider.answers = [answer];
      const error: unknown = await provider.endpoint().embed([TEXT], patient()).catch((thrown: unknown) => thrown);
      expect(String((error as Error).stack) + String((error as Error).cause)).not.toMatch(/canary/);
    }
    expect(provider.lines.join()).toContain("it answers 500");
    expect(provider.lines.join()).not.toMatch(/canary/);
  });
});

describe("vectorsOf", () => {
  it("takes values of any size that have a length", () => {
    expect(vectorsOf('{"data":[{"index":0,"embedding":[3e-20,4e-20]}]}', 1, 2)).toEqual([Float32Array.of(0.6, 0.8)]);
  });
});
