import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@grpc/grpc-js";
import { decodeVector, EmbedderService } from "@memseal/contracts/reranker";
import { AppError } from "@memseal/errors";
import { connect, unary } from "@memseal/transport";
import { appScript, freePort, startProcess, type ServiceProcess } from "@memseal/transport/testing";

const MAIN = appScript("reranker");
const KEY = "sk-canary-5d1e";
const SENTENCE = "We talked about the move to Lisbon, the price of the flat and who would look after the canary. ";

/** A server of the OpenAI protocol: [length of the text, 1], unless told to hold what it is asked. */
class Provider {
  readonly inputs: string[][] = [];
  readonly keys = new Set<string | undefined>();
  readonly held: ServerResponse[] = [];
  holds: (input: string[]) => boolean = () => false;
  readonly server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { input } = JSON.parse(Buffer.concat(chunks).toString()) as { input: string[] };
      this.keys.add(request.headers.authorization);
      this.inputs.push(input);
      if (this.holds(input)) this.held.push(response);
      else response.end(JSON.stringify({ data: input.map((text, index) => ({ index, embedding: [text.length, 1] })) }));
    });
  });
}

let provider: Provider;
let service: ServiceProcess;
let client: Client;
let dir: string;

beforeAll(async () => {
  provider = new Provider();
  await new Promise<void>((resolve) => provider.server.listen(0, "127.0.0.1", resolve));
  dir = mkdtempSync(join(tmpdir(), "memseal-endpoint-"));
  writeFileSync(join(dir, "key"), `${KEY}\n`, { mode: 0o600 });
  const address = `127.0.0.1:${await freePort()}`;
  service = await startProcess(
    MAIN,
    {
      MEMSEAL_RERANKER_ADDRESS: address,
      MEMSEAL_EMBED_URL: `http://127.0.0.1:${(provider.server.address() as AddressInfo).port}/v1`,
      MEMSEAL_EMBED_MODEL: "text-embedding-test",
      MEMSEAL_EMBED_DIMENSION: "2",
      MEMSEAL_EMBED_KEY_FILE: join(dir, "key"),
    },
    { args: ["--serve", "embed"] },
  );
  client = connect(address);
});

afterAll(async () => {
  client.close();
  await service.kill("SIGTERM");
  provider.server.closeAllConnections();
  provider.server.close();
  rmSync(dir, { recursive: true });
});

const context = (deadlineMs = Date.now() + 20_000) => ({ peer: "embedder", deadlineMs });
const documents = (texts: { text: string; speaker?: string }[], deadlineMs?: number) => unary(client, EmbedderService.embedDocuments, { documents: texts }, context(deadlineMs));
const query = (text: string) => unary(client, EmbedderService.embedQuery, { text }, context());

describe("an embedder with an endpoint", () => {
  it("says at its start where texts are sent", () => {
    const lines = service.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.find(({ event }) => event === "texts are sent to an embedding endpoint")).toMatchObject({
      level: "warn", model: "text-embedding-test", address: `127.0.0.1:${(provider.server.address() as AddressInfo).port}`,
    });
  });

  it("embeds a query, and documents in windows with their speaker, a few a request", async () => {
    const { model, vector } = await query("abc");
    expect([model, ...decodeVector(vector, "vector")]).toEqual(["text-embedding-test", expect.closeTo(3 / Math.sqrt(10)), expect.closeTo(1 / Math.sqrt(10))]);
    provider.inputs.length = 0;
    const long = `😀 ${SENTENCE.repeat(60)}`;
    const answer = await documents([...Array.from({ length: 70 }, () => ({ text: "tea", speaker: "Ana" })), { text: long }]);
    expect(answer.documents).toHaveLength(71);
    expect(provider.inputs.every((input) => input.length <= 32)).toBe(true);
    const sent = provider.inputs.sort((a, b) => b.filter((text) => text === "Ana: tea").length - a.filter((text) => text === "Ana: tea").length).flat();
    expect(sent.filter((text) => text === "Ana: tea")).toHaveLength(70);
    const windows = answer.documents[70]?.windows ?? [];
    expect(windows.length).toBeGreaterThan(3);
    const spans = windows.map(({ start, end }) => Array.from(long).slice(start, end).join(""));
    for (const span of spans) expect(sent).toContain(span);
    expect(provider.keys).toEqual(new Set([`Bearer ${KEY}`]));
  });

  it("answers queries while the endpoint holds every document, and refuses at once what would wait past its use", async () => {
    provider.holds = (input) => input.length > 1;
    const pair = [{ text: "one" }, { text: "two" }];
    const deadlineMs = Date.now() + 3_000;
    const writes = Array.from({ length: 80 }, () => documents(pair, deadlineMs).catch((error: unknown) => error as { code: string }));
    await expect(query("still there")).resolves.toBeDefined();
    const codes = (await Promise.all(writes)).map((answer) => ("code" in answer ? answer.code : "ok"));
    expect(codes.filter((code) => code === "resource_exhausted").length).toBeGreaterThanOrEqual(10);
    expect(new Set(codes)).toEqual(new Set(["resource_exhausted", "deadline_exceeded"]));
    provider.holds = () => false;
    // The service may learn a moment after its callers that their time is up; it makes room then, and not at all otherwise.
    for (const until = Date.now() + 5_000; ; ) {
      const answer = await documents(pair).catch((error: unknown) => error);
      if (!(answer instanceof AppError)) break;
      expect([answer.code, Date.now() < until]).toEqual(["resource_exhausted", true]);
      await delay(100);
    }
  });

  it("has neither texts nor the key in its log", () => {
    expect(service.lines.join("\n")).not.toMatch(/canary|Lisbon/);
  });
});
