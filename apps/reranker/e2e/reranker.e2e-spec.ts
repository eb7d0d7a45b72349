import type { Client } from "@grpc/grpc-js";
import {
  decodeVector,
  EmbedderService,
  RerankerService,
  type EmbedDocumentsRequest,
  type EmbeddedDocument,
} from "@memseal/contracts/reranker";
import { AppError } from "@memseal/errors";
import { SHIPPED_MODELS_DIR } from "@memseal/inference";
import { CALLER_KEY, connect, serverStream, unary } from "@memseal/transport";
import { appScript, freePort, runToExit, startProcess, type ServiceProcess } from "@memseal/transport/testing";
import { service as healthService } from "grpc-health-check";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = appScript("reranker");
const SENTENCE = "We talked about the move to Lisbon, the price of the flat and who would look after the cat. ";
const QUERY = "Where does Ana live now?";
const PASSAGES = [
  "[2023-03-01] Ben: The printer on the second floor is out of toner again.",
  "[2023-05-08] Ana: I finally moved to Lisbon last month and I love my flat there.",
  "[2023-06-11] Ana: My cat does not like the new food.",
];

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const vectorsOf = ({ windows }: EmbeddedDocument) => windows.map(({ vector }) => decodeVector(vector, "vector"));

/** A running reranker and a client that speaks to it over the network. */
class Service {
  private constructor(readonly process: ServiceProcess, readonly address: string, readonly client: Client, private readonly metricsAddress: string) {}

  static async start(env: Record<string, string> = {}, args: readonly string[] = []): Promise<Service> {
    const [address, metrics] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const process = await startProcess(MAIN, { MEMSEAL_RERANKER_ADDRESS: address, MEMSEAL_METRICS_ADDRESS: metrics, MEMSEAL_DEVICE: "cpu", ...env }, { args });
    return new Service(process, address, connect(address), metrics);
  }

  async metrics(): Promise<string> {
    return (await fetch(`http://${this.metricsAddress}/metrics`)).text();
  }

  /** The value of a series, by the begin of its line. */
  async metric(series: string): Promise<number> {
    const line = (await this.metrics()).split("\n").find((one) => one.startsWith(series));
    return Number(line?.split(" ").at(-1) ?? NaN);
  }

  query(text: string) {
    return unary(this.client, EmbedderService.embedQuery, { text }, this.#context());
  }

  documents(documents: EmbedDocumentsRequest["documents"], context: { signal?: AbortSignal; deadlineMs?: number } = {}) {
    return unary(this.client, EmbedderService.embedDocuments, { documents }, this.#context(context));
  }

  async logits(query: string, passages: string[]): Promise<number[]> {
    return (await unary(this.client, RerankerService.rerank, { query, passages }, this.#context())).logits;
  }

  /** As a gateway asks for one of its users, who waits so long. */
  async logitsFor(caller: string, passages: string[], waitMs = 30_000): Promise<number[]> {
    const context = { peer: "reranker", deadlineMs: Date.now() + waitMs, metadata: { [CALLER_KEY]: caller } };
    return (await unary(this.client, RerankerService.rerank, { query: QUERY, passages }, context)).logits;
  }

  /** Standard gRPC health of one service, such as `SERVING`. */
  health(service: string): Promise<string> {
    const { path, requestSerialize, responseDeserialize } = healthService.Check;
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service }, (error, answer) => {
        if (error) reject(error);
        else resolve((answer as { status: string }).status);
      });
    });
  }

  async stop(): Promise<number | null> {
    this.client.close();
    await this.process.kill("SIGTERM");
    return this.process.exited;
  }

  #context(context: { signal?: AbortSignal; deadlineMs?: number } = {}) {
    return { peer: "reranker", deadlineMs: Date.now() + 60_000, ...context };
  }
}

describe("the reranker", () => {
  let service: Service;
  beforeAll(async () => { service = await Service.start(); });
  afterAll(() => service.stop());

  it("says which models it serves and where they run", () => {
    const loaded = service.process.lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ event }) => event === "model loaded");
    // Both load at once.
    expect(loaded.sort((a, b) => String(a["model"]).localeCompare(String(b["model"])))).toMatchObject([
      { model: "all-minilm-l6-v2", provider: "cpu", count: 1 },
      { model: "memseal-rerank-mini", provider: "cpu" },
    ]);
  });

  it("is healthy once it is ready", async () => {
    for (const name of ["", "memseal.reranker.v1.Embedder", "memseal.reranker.v1.Reranker"]) expect(await service.health(name)).toBe("SERVING");
  });

  it("embeds a query nearest to the document that answers it", async () => {
    const { model, vector } = await service.query(QUERY);
    expect(model).toBe("all-minilm-l6-v2");
    const { documents } = await service.documents(PASSAGES.map((text) => ({ text })));
    const query = decodeVector(vector, "vector");
    const [printer, lisbon, cat] = documents.map((document) => dot(query, vectorsOf(document)[0]));
    expect(lisbon).toBeGreaterThan(Math.max(printer, cat));
  });

  it("embeds a long document as windows that cover it", async () => {
    const text = "😀 " + SENTENCE.repeat(40);
    const { documents } = await service.documents([{ text: "short", speaker: "Ana" }, { text, speaker: "Ana" }]);
    expect(documents[0].windows).toMatchObject([{ start: 0, end: 5 }]);
    const { windows } = documents[1];
    expect(windows.length).toBeGreaterThan(3);
    expect(windows[0].start).toBe(0);
    expect(windows.at(-1)!.end).toBe(Array.from(text).length);
    for (let i = 1; i < windows.length; i++) {
      expect(windows[i].start).toBeLessThanOrEqual(windows[i - 1].end);
      expect(windows[i].start).toBeGreaterThan(windows[i - 1].start);
    }
    for (const vector of vectorsOf(documents[1])) expect(dot(vector, vector)).toBeCloseTo(1, 4);
  });

  it("ranks the passage that answers first", async () => {
    const logits = await service.logits(QUERY, PASSAGES);
    expect(logits).toHaveLength(3);
    expect(logits.indexOf(Math.max(...logits))).toBe(1);
  });

  it("gives the same vectors and scores alone and under load", async () => {
    const [aloneQuery, aloneLogits] = [await service.query(QUERY), await service.logits(QUERY, PASSAGES)];
    const load = Promise.all(
      Array.from({ length: 4 }, (_, n) => [service.documents([{ text: SENTENCE.repeat(n + 1) }]), service.logits(`question ${n}`, PASSAGES.map((text) => text.repeat(n + 1)))]).flat(),
    );
    const [loadedQuery, loadedLogits] = await Promise.all([service.query(QUERY), service.logits(QUERY, PASSAGES)]);
    await load;
    const [a, b] = [decodeVector(aloneQuery.vector, "vector"), decodeVector(loadedQuery.vector, "vector")];
    expect(Math.max(...a.map((value, i) => Math.abs(value - b[i])))).toBeLessThanOrEqual(1e-5);
    expect(Math.max(...aloneLogits.map((value, i) => Math.abs(value - loadedLogits[i])))).toBeLessThanOrEqual(1e-5);
  });

  it.each<[string, (s: Service) => Promise<unknown>]>([
    ["text", (s) => s.query("")],
    ["text", (s) => s.query("x".repeat(2_001))],
    ["documents[1].text", (s) => s.documents([{ text: "ok" }, { text: "a\0b" }])],
    ["documents", (s) => s.documents(Array.from({ length: 201 }, () => ({ text: "x" })))],
    ["documents", (s) => s.documents(Array.from({ length: 20 }, () => ({ text: SENTENCE.repeat(200) })))],
    ["query", (s) => s.logits("", PASSAGES)],
    ["passages[0]", (s) => s.logits(QUERY, [""])],
    ["passages", (s) => s.logits(QUERY, new Array<string>(1_001).fill("x"))],
  ])("answers INVALID_ARGUMENT naming %s when it is what is wrong", async (field, call) => {
    await expect(call(service)).rejects.toMatchObject({ code: "invalid_argument", field });
  });

  it("embeds a query before the documents that were there first, and answers while it works", async () => {
    const documents = service.documents(Array.from({ length: 60 }, () => ({ text: SENTENCE.repeat(12) })));
    let done = false;
    void documents.then(() => { done = true; });
    await service.query(QUERY);
    // Answered by the main thread alone: a wrong call does not wait for a model.
    await expect(service.query("")).rejects.toMatchObject({ code: "invalid_argument" });
    expect(done).toBe(false);
    await documents;
  });

  it("answers one query after another while a large write is under way", async () => {
    let done = false;
    const write = service.documents(Array.from({ length: 160 }, () => ({ text: SENTENCE.repeat(12) }))).then(() => { done = true; });
    for (let i = 0; i < 10; i++) await service.query(`${QUERY} ${i}`);
    expect(done).toBe(false);
    await write;
  });

  it("drops the work of a caller that left", async () => {
    const heavy = Array.from({ length: 60 }, () => ({ text: SENTENCE.repeat(12) }));
    const startMs = performance.now();
    await service.documents(heavy);
    const wholeMs = performance.now() - startMs;

    const leaver = new AbortController();
    const left = service.documents(heavy, { signal: leaver.signal });
    await service.query(QUERY);
    leaver.abort();
    await expect(left).rejects.toMatchObject({ code: "cancelled" });
    const nextMs = performance.now();
    await service.documents([{ text: "next" }]);
    expect(performance.now() - nextMs).toBeLessThan(wholeMs / 2);
  });

  it("answers DEADLINE_EXCEEDED in time", async () => {
    const heavy = Array.from({ length: 60 }, () => ({ text: SENTENCE.repeat(12) }));
    await expect(service.documents(heavy, { deadlineMs: Date.now() + 50 })).rejects.toMatchObject({ code: "deadline_exceeded" });
  });

  it("refuses at once, as overloaded, what would wait past its use", async () => {
    const many = Array.from({ length: 4 }, () => service.logits(QUERY, new Array<string>(600).fill(PASSAGES[1])).catch((error: unknown) => error));
    const answers = await Promise.all(many);
    const refused = answers.filter((answer) => answer instanceof AppError);
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) expect(error).toMatchObject({ code: "resource_exhausted", retryAfterS: 1 });
    expect(refused.length).toBeLessThan(4);
  });

  it("gives the scores of a stream as they are known, each once, the same as in one answer", async () => {
    const passages = Array.from({ length: 40 }, (_, n) => PASSAGES[n % 3].repeat(1 + (n % 4)));
    const logits = await service.logits(QUERY, passages);
    const streamed = new Map<number, number>();
    for await (const part of serverStream(service.client, RerankerService.rerankStream, { query: QUERY, passages }, { peer: "reranker", deadlineMs: Date.now() + 30_000 })) {
      for (const [i, index] of part.indexes.entries()) streamed.set(index, part.logits[i]);
    }
    expect([...passages.keys()].map((index) => streamed.get(index))).toEqual(logits);
  });

  it("lets a search through while another caller's thousand documents are scored, and a flood of one caller leaves room for another", async () => {
    const documents = new Array<string>(1_000).fill(PASSAGES[1].repeat(3));
    let isDone = false;
    const bulk = service.logitsFor("bulk", documents).then(() => { isDone = true; });
    await service.logitsFor("search", new Array<string>(24).fill(PASSAGES[0]), 900);
    expect(isDone).toBe(false);
    const flood = Array.from({ length: 20 }, () => service.logitsFor("flood", documents).then(() => "ok", (error: unknown) => (error as AppError).code));
    await expect(service.logitsFor("other", PASSAGES)).resolves.toHaveLength(3);
    expect((await Promise.all(flood)).filter((code) => code === "resource_exhausted").length).toBeGreaterThan(10);
    await bulk;
  });

  it("keeps its event loop free while every worker is busy", async () => {
    const busy = service.logitsFor("bulk", new Array<string>(400).fill(PASSAGES[1].repeat(5)));
    let isDone = false;
    void busy.then(() => { isDone = true; });
    const waits: number[] = [];
    while (!isDone && waits.length < 50) {
      const startedAt = performance.now();
      await service.health("");
      waits.push(performance.now() - startedAt);
    }
    await busy;
    expect(waits.length).toBeGreaterThan(10);
    // The median: other programs share the machine's cores.
    expect(waits.sort((a, b) => a - b)[waits.length >> 1]).toBeLessThan(25);
  });

  it("counts what its models do under the names of text-embeddings-inference, and says which they are", async () => {
    const [before, failed] = [await service.metric('te_request_success{service="rerank",method="batch"'), await service.metric('te_request_failure{service="rerank",err="validation"')];
    const [runs, tokenised] = [await service.metric('te_batch_next_size_count{track="stable",service="rerank"'), await service.metric('te_request_tokenization_duration_count{track="stable",service="rerank"')];
    await service.logits(QUERY, PASSAGES);
    await service.logits("", PASSAGES).catch(() => undefined);
    expect(await service.metric('te_request_success{service="rerank",method="batch"')).toBe(before + 1);
    expect(await service.metric('te_request_failure{service="rerank",err="validation"')).toBe(failed + 1);
    expect(await service.metric('te_batch_next_size_count{track="stable",service="rerank"')).toBe(runs + 3);
    expect(await service.metric('te_request_tokenization_duration_count{track="stable",service="rerank"')).toBe(tokenised + 1);
    for (const stage of ["queue", "inference"]) expect(await service.metric(`te_request_${stage}_duration_sum{track="stable",service="rerank"`)).toBeGreaterThan(0);
    expect(await service.metric('te_batch_next_size_sum{track="stable",service="rerank"')).toBe(await service.metric('te_batch_next_size_count{track="stable",service="rerank"'));
    expect(await service.metric('te_batch_next_tokens_sum{track="stable",service="rerank"')).toBeGreaterThan(100);
    for (const [name, model] of [["rerank", "memseal-rerank-mini"], ["embed", "all-minilm-l6-v2"]]) {
      expect(await service.metric(`te_queue_size{service="${name}"`)).toBe(0);
      expect(await service.metric(`memseal_model_info{service="${name}",model="${model}",provider="cpu"`)).toBe(1);
      expect(await service.metric(`te_request_duration_count{track="stable",service="${name}"`)).toBeGreaterThan(0);
    }
  });

  it("shows how much waits", async () => {
    const busy = service.logitsFor("bulk", new Array<string>(400).fill(PASSAGES[1]));
    let most = 0;
    void busy.then(() => undefined);
    for (let i = 0; i < 5; i++) most = Math.max(most, await service.metric('te_queue_size{service="rerank"'));
    expect(most).toBeGreaterThan(50);
    await busy;
  });
});

describe("a reranker process", () => {
  it("serves only what it was asked to serve", async () => {
    const service = await Service.start({}, ["--serve", "embed"]);
    await expect(service.query("hello")).resolves.toMatchObject({ model: "all-minilm-l6-v2" });
    await expect(service.logits(QUERY, PASSAGES)).rejects.toMatchObject({ code: "unavailable", message: "the reranker is not served where it is looked for" });
    await expect(service.health("memseal.reranker.v1.Reranker")).rejects.toMatchObject({ code: 5 });
    expect(await service.stop()).toBe(0);
  });

  it("listens on a Unix socket", async () => {
    const dir = await mkdtemp(join(tmpdir(), "memseal-reranker-"));
    const service = await Service.start({ MEMSEAL_RERANKER_ADDRESS: `unix:${dir}/s` }, ["--serve", "rerank"]);
    const client = connect(`unix:${dir}/s`);
    const answer = unary(client, RerankerService.rerank, { query: QUERY, passages: PASSAGES }, { peer: "reranker", deadlineMs: Date.now() + 10_000 });
    await expect(answer).resolves.toMatchObject({ model: "memseal-rerank-mini" });
    client.close();
    expect(await service.stop()).toBe(0);
    await rm(dir, { recursive: true });
  });

  it("finishes the call in flight when it is told to stop, and exits with 0", async () => {
    const service = await Service.start({}, ["--serve", "embed"]);
    const inFlight = service.documents(Array.from({ length: 20 }, () => ({ text: SENTENCE.repeat(5) })));
    await service.query("in flight");
    const stopped = service.process.kill("SIGTERM");
    await expect(inFlight).resolves.toMatchObject({ model: "all-minilm-l6-v2" });
    service.client.close();
    await stopped;
    expect(await service.process.exited).toBe(0);
  });

  it("refuses to start without a model, naming the file, rather than answer from anything else", async () => {
    const dir = await mkdtemp(join(tmpdir(), "memseal-models-"));
    await cp(SHIPPED_MODELS_DIR, dir, { recursive: true });
    await rm(join(dir, "all-minilm-l6-v2/model_int8.onnx"));
    const { code, lines } = await runToExit(MAIN, { MEMSEAL_MODELS_DIR: dir });
    expect(code).toBe(1);
    expect(lines.join("\n")).toContain(`${dir}/all-minilm-l6-v2/model_int8.onnx cannot be read; copy the model's folder whole`);
    await rm(dir, { recursive: true });
  });

  it("serves the models it is told to, and refuses names it does not know", async () => {
    const service = await Service.start({ MEMSEAL_RERANK_MODEL: "memseal-rerank-small" }, ["--serve", "rerank"]);
    const answer = unary(service.client, RerankerService.rerank, { query: QUERY, passages: PASSAGES }, { peer: "reranker", deadlineMs: Date.now() + 30_000 });
    await expect(answer).resolves.toMatchObject({ model: "memseal-rerank-small" });
    expect(await service.stop()).toBe(0);
    const { code, lines } = await runToExit(MAIN, { MEMSEAL_EMBED_MODEL: "absent" }, ["--serve", "embed"]);
    expect(code).toBe(1);
    expect(lines.join("\n")).toContain("there is no model absent among those that ship");
  });

  it("refuses to start on a GPU it cannot have", async () => {
    const { code, lines } = await runToExit(MAIN, { MEMSEAL_DEVICE: "cuda" }, ["--serve", "embed"]);
    expect(code).toBe(1);
    expect(lines.join("\n")).toContain("set MEMSEAL_DEVICE to auto or cpu");
  });
});
