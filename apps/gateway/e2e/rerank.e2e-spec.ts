import { readFileSync } from "node:fs";
import { finished } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { createTogetherAI } from "@ai-sdk/togetherai";
import { Metadata, type ServiceError } from "@grpc/grpc-js";
import { LIMITS, MemoryServiceService, type RerankEvent, type RerankRequest } from "@memseal/contracts";
import { connect } from "@memseal/transport";
import { CohereClient, CohereClientV2, CohereError } from "cohere-ai";
import { TRANSPORTS, type Answer, type Ask, type Gateway, type Json } from "./gateway.js";
import { Stack } from "./stack.js";

const CANARY = "the canary sings of zirconium at noon";
const QUERY = "Which food must she avoid?";
const DOCUMENTS = ["The bike is in the garage.", "She is allergic to walnuts.", "It rained in Bergen.", "Walnuts make her ill, said her doctor."];
const STATUS: Record<string, number> = { invalid_argument: 400, unauthenticated: 401, permission_denied: 403, resource_exhausted: 413, unavailable: 503, deadline_exceeded: 504 };
const MODEL = "memseal-rerank-mini";

interface Result { index: number; relevance_score: number; document?: { text: string } }

let stack: Stack;
let gateway: Gateway;
let key: string;

beforeAll(async () => {
  stack = await Stack.start();
  gateway = await stack.startGateway();
  key = await stack.createKey("ada-7731", ["read"]);
});

afterAll(() => stack.stop());

const resultsOf = ({ body }: Answer) => body["results"] as Result[];

/** The events of RerankStream, or the code that it ended with. */
function stream(request: Partial<RerankRequest>): Promise<{ events: RerankEvent["event"][]; error?: ServiceError }> {
  const { path, requestSerialize, responseDeserialize } = MemoryServiceService.rerankStream;
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  const client = connect(gateway.grpc);
  const events: RerankEvent["event"][] = [];
  const whole = { query: QUERY, documents: DOCUMENTS, returnDocuments: false, rawScores: false, ...request };
  return new Promise<{ events: RerankEvent["event"][]; error?: ServiceError }>((resolve) => {
    client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, whole, metadata, { deadline: Date.now() + 30_000 })
      .on("data", ({ event }: RerankEvent) => events.push(event))
      .on("error", (error: ServiceError) => { resolve({ events, error }); })
      .on("end", () => { resolve({ events }); });
  }).finally(() => { client.close(); });
}

describe.each(TRANSPORTS)("over %s", (transport) => {
  const rerank = (json: Json, more: Partial<Ask> = {}) => gateway.ask(transport, { method: "rerank", key, json: { query: QUERY, documents: DOCUMENTS, ...json }, ...more });

  it("a caller's documents come back in order of relevance, with scores of 0 to 1", async () => {
    const answer = await rerank({});
    expect(answer).toMatchObject({ code: "ok", body: { id: answer.requestId, model: MODEL } });
    const results = resultsOf(answer);
    expect(results.map(({ index }) => index).sort()).toEqual([0, 1, 2, 3]);
    expect(results.slice(0, 2).map(({ index }) => index).sort()).toEqual([1, 3]);
    const scores = results.map((one) => one.relevance_score);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    for (const score of scores) expect(score > 0 && score < 1).toBe(true);
    expect(results[0]).not.toHaveProperty("document");
  });

  it("the best are returned, with their texts and as logits where that is asked for", async () => {
    const [plain, asked] = [await rerank({}), await rerank({ top_n: 2, return_documents: true, raw_scores: true, model: MODEL })];
    expect(resultsOf(asked)).toEqual(resultsOf(plain).slice(0, 2).map(({ index, relevance_score: score }) => ({
      index, document: { text: DOCUMENTS[index] }, relevance_score: expect.closeTo(Math.log(score / (1 - score)), 4) as number,
    })));
    expect(resultsOf(await rerank({ top_n: 1_000 }))).toHaveLength(4);
  });

  it("what the model read is told", async () => {
    // [CLS] a [SEP] b [SEP], twice.
    const { body } = await rerank({ query: "a", documents: ["b", "b"] });
    expect(body["usage"]).toEqual({ prompt_tokens: 10, completion_tokens: 0, total_tokens: 10 });
  });

  it("equal documents have equal scores, and come in the order they were sent", async () => {
    const documents = Array.from({ length: 60 }, (_, i) => DOCUMENTS[1 + (i % 2)]);
    const results = resultsOf(await rerank({ documents }));
    expect(results.map(({ index }) => index)).toEqual([...documents.keys()].sort((a, b) => (a % 2) - (b % 2) || a - b));
    expect(new Set(results.map((one) => one.relevance_score)).size).toBe(2);
  });

  it("two runs of one request give the same scores, alone and under load", async () => {
    const alone = resultsOf(await rerank({ raw_scores: true }));
    const load = Promise.all(Array.from({ length: 6 }, (_, n) => rerank({ query: `question ${n}`, documents: DOCUMENTS.map((text) => text.repeat(n + 1)) })));
    const loaded = await Promise.all([rerank({ raw_scores: true }), rerank({ raw_scores: true })]);
    expect((await load).every(({ code }) => code === "ok")).toBe(true);
    for (const answer of loaded) expect(resultsOf(answer)).toEqual(alone);
  });

  it("1,000 documents are scored, each once", async () => {
    const documents = Array.from({ length: LIMITS.rerankDocuments }, (_, i) => `Note ${i}: ${DOCUMENTS[i % 4]}`);
    const answer = await rerank({ documents }, { headers: { "request-timeout-ms": "30000" } });
    expect(answer.code).toBe("ok");
    expect(new Set(resultsOf(answer).map(({ index }) => index)).size).toBe(LIMITS.rerankDocuments);
  });

  it.each<[string, string[]]>([
    ["emoji alone", ["😀".repeat(LIMITS.textCharacters), "👩‍👩‍👧".repeat(5_000)]],
    ["one word without end", ["a".repeat(LIMITS.textCharacters), "한".repeat(LIMITS.textCharacters)]],
    ["nothing to read", [" ", "\u0001", "\u200b"]],
  ])("documents of %s are scored, in bounded time", async (_what, documents) => {
    const answer = await rerank({ documents });
    expect({ code: answer.code, count: resultsOf(answer).length }).toEqual({ code: "ok", count: documents.length });
  });
});

describe("a stream of scores", () => {
  it("names each document once, then the whole order, as the unary call has it", async () => {
    const unary = await gateway.ask("grpc", { method: "rerank", key, json: { query: QUERY, documents: DOCUMENTS, top_n: 3 } });
    const { events } = await stream({ topN: 3 });
    const scored = events.slice(0, -1).flatMap((event) => (event?.$case === "scored" ? event.value.documents : []));
    expect(scored.map(({ index }) => index).sort()).toEqual([0, 1, 2, 3]);
    const done = events.at(-1);
    if (done?.$case !== "done") throw new Error("no end");
    expect(done.value.results.map(({ index, relevanceScore }) => ({ index, relevance_score: relevanceScore }))).toEqual(resultsOf(unary));
    expect(done.value).toMatchObject({ model: MODEL, usage: { totalTokens: (unary.body["usage"] as { total_tokens: number }).total_tokens } });
    for (const { index, relevanceScore } of done.value.results) expect(scored.find((one) => one.index === index)?.relevanceScore).toBe(relevanceScore);
  });

  it("begins long before the last document is scored", async () => {
    const startedAt = performance.now();
    const documents = Array.from({ length: 200 }, (_, i) => `Note ${i}: ${DOCUMENTS[i % 4]}`.repeat(4));
    const client = connect(gateway.grpc);
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${key}`);
    const { path, requestSerialize, responseDeserialize } = MemoryServiceService.rerankStream;
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { query: QUERY, documents, returnDocuments: false, rawScores: false }, metadata, { deadline: Date.now() + 30_000 });
    let firstMs: number | undefined;
    call.once("data", () => { firstMs = performance.now() - startedAt; });
    await finished(call.resume());
    expect(firstMs).toBeLessThan((performance.now() - startedAt) / 3);
    client.close();
  });

  it("refuses what the unary call refuses", async () => {
    const { events, error } = await stream({ documents: ["a", ""] });
    expect(events).toEqual([]);
    expect({ code: error?.code, field: error?.metadata.get("memseal-field")[0] }).toEqual({ code: 3, field: encodeURIComponent("documents[1]") });
  });
});

describe("published clients", () => {
  it("cohere-ai gets its answer at both of its paths", async () => {
    const options = { token: key, environment: gateway.url };
    const [v1, v2] = [new CohereClient(options), new CohereClientV2(options)];
    const first = await v1.rerank({ query: QUERY, documents: DOCUMENTS.map((text) => ({ text })), topN: 2, returnDocuments: true });
    expect(first.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(first.results.map(({ index }) => index).sort()).toEqual([1, 3]);
    expect(first.results.map(({ index, document }) => document?.text === DOCUMENTS[index])).toEqual([true, true]);
    const second = await v2.rerank({ model: MODEL, query: QUERY, documents: DOCUMENTS, topN: 2 });
    expect(second.results).toEqual(first.results.map(({ index, relevanceScore }) => ({ index, relevanceScore })));
  });

  it("cohere-ai is told of a wrong model and of too many documents", async () => {
    const client = new CohereClientV2({ token: key, environment: gateway.url, maxRetries: 0 });
    const failure = (request: Parameters<typeof client.rerank>[0]) => client.rerank(request).then(() => undefined, (error: unknown) => error as CohereError);
    expect(await failure({ model: "rerank-v3.5", query: QUERY, documents: DOCUMENTS })).toMatchObject({ statusCode: 400, body: { field: "model", detail: expect.stringContaining(MODEL) as string } });
    expect(await failure({ model: MODEL, query: QUERY, documents: Array<string>(2_000).fill("a") })).toMatchObject({ statusCode: 400, body: { field: "documents" } });
  });

  it("the AI SDK gets it in the form of Jina and Together", async () => {
    const model = createTogetherAI({ apiKey: key, baseURL: `${gateway.url}/v1` }).rerankingModel(MODEL);
    const { ranking, response } = await model.doRerank({ query: QUERY, documents: { type: "text", values: DOCUMENTS }, topN: 2 });
    expect(ranking.map(({ index }) => index).sort()).toEqual([1, 3]);
    expect(response).toMatchObject({ modelId: MODEL });
  });
});

interface Case {
  title: string;
  ask: () => Ask;
  code: string;
  field?: string;
  only?: "http" | "grpc";
}

const rerankOf = (json: Json, more: Partial<Ask> = {}) => (): Ask => ({ method: "rerank", key, json: { query: QUERY, documents: DOCUMENTS, ...json }, ...more });
/** query `q` and one document of these bytes. */
const messageWith = (bytes: Buffer) => Buffer.concat([Buffer.from([0x0a, 1, 0x71, 0x12, bytes.length]), bytes]);

const CASES: Case[] = [
  { title: "bytes that are no request", ask: rerankOf({}, { json: `{"query": "${CANARY}`, message: Buffer.from([0x0a, 0x7f, 0x41]) }), code: "invalid_argument", field: "request" },
  { title: "no documents", ask: rerankOf({ documents: [] }), code: "invalid_argument", field: "documents" },
  { title: "2,000 documents", ask: rerankOf({ documents: Array(2_000).fill("a") }), code: "invalid_argument", field: "documents" },
  { title: "an empty document", ask: rerankOf({ documents: ["a", ""] }), code: "invalid_argument", field: "documents[1]" },
  { title: "a document that is too long", ask: rerankOf({ documents: ["😀".repeat(LIMITS.textCharacters + 1)] }), code: "invalid_argument", field: "documents[0]" },
  { title: "NUL in a document", ask: rerankOf({ documents: [`${CANARY}\0`] }), code: "invalid_argument", field: "documents[0]" },
  { title: "a lone surrogate in a document", ask: rerankOf({ documents: [`${CANARY}\ud800`] }), code: "invalid_argument", field: "documents[0]", only: "http" },
  { title: "10 MB of text", ask: rerankOf({ documents: ["a".repeat(10_000_000)] }), code: "resource_exhausted" },
  { title: "a blank query", ask: rerankOf({ query: " \n" }), code: "invalid_argument", field: "query" },
  { title: "a query that is too long", ask: rerankOf({ query: "q".repeat(LIMITS.queryCharacters + 1) }), code: "invalid_argument", field: "query" },
  { title: "top_n 0", ask: rerankOf({ top_n: 0 }), code: "invalid_argument", field: "top_n" },
  { title: "a model that is not served", ask: rerankOf({ model: "rerank-v3.5" }), code: "invalid_argument", field: "model" },
  { title: "an unknown field", ask: rerankOf({ colour: "red" }), code: "invalid_argument", field: "colour", only: "http" },
  { title: "a field of Cohere's that we do not have", ask: rerankOf({ max_tokens_per_doc: 100 }), code: "invalid_argument", field: "max_tokens_per_doc", only: "http" },
  { title: "documents of more than a text", ask: rerankOf({ documents: [{ text: "a", title: "b" }] }), code: "invalid_argument", field: "documents", only: "http" },
  { title: "no credential", ask: rerankOf({}, { key: undefined }), code: "unauthenticated" },
  { title: "a timeout that is no number", ask: rerankOf({}, { headers: { "request-timeout-ms": "soon" } }), code: "invalid_argument", field: "request-timeout-ms" },
  { title: "a deadline that passes", ask: rerankOf({ documents: Array(1_000).fill("word ".repeat(300)) }, { headers: { "request-timeout-ms": "300" } }), code: "deadline_exceeded" },
];

describe("a request with a fault", () => {
  it.each(CASES)("is answered alike over both transports: $title", async ({ ask, code, field, only }) => {
    for (const transport of TRANSPORTS.filter((one) => only === undefined || one === only)) {
      const answer = await gateway.ask(transport, ask());
      expect({ transport, code: answer.code, field: answer.field }).toEqual({ transport, code, field });
      if (answer.status !== undefined) expect({ status: answer.status, id: answer.body["request_id"] }).toEqual({ status: STATUS[code], id: answer.requestId });
      expect(JSON.stringify(answer.body)).not.toContain("zirconium");
    }
  });

  it.each([["a byte that never is", [0xff]], ["an overlong form", [0xc0, 0x80]], ["half a character", [0xf0, 0x9f, 0x98]], ["a surrogate", [0xed, 0xa0, 0x80]]])("in the encoding of a text is refused, not mended: %s", async (_what, bytes) => {
    const text = Buffer.from([0x61, ...bytes]);
    expect(await gateway.ask("grpc", { method: "rerank", key, message: messageWith(text) })).toMatchObject({ code: "invalid_argument", field: "request" });
    const body = Buffer.concat([Buffer.from('{"query":"q","documents":["'), text, Buffer.from('"]}')]);
    const response = await gateway.fetch("/v1/rerank", { method: "POST", body, headers: { authorization: `Bearer ${key}`, "content-type": "application/json" } });
    expect({ status: response.status, body: await response.json() }).toMatchObject({ status: 400, body: { code: "invalid_argument", field: "request" } });
  });
});

describe("a caller that asks more often than it may", () => {
  it("is refused with 429 and when to come again, while its searches go on in fused order", async () => {
    const slow = await stack.startGateway({ MEMSEAL_RATES_CREDENTIAL: "rerank=0.5" });
    const user = await stack.createKey("rated-3310");
    const rerank = () => slow.ask("http", { method: "rerank", key: user, json: { query: QUERY, documents: DOCUMENTS } });
    expect((await slow.ask("http", { method: "add", key: user, json: { memories: [{ text: "a walnut" }] } })).code).toBe("ok");
    expect((await rerank()).code).toBe("ok");
    expect(await rerank()).toMatchObject({ status: 429, code: "resource_exhausted", retryAfter: expect.stringMatching(/^[12]$/) as string });
    expect(await slow.ask("grpc", { method: "rerank", key: user, json: { query: QUERY, documents: DOCUMENTS } })).toMatchObject({ code: "resource_exhausted" });
    const { body } = await slow.ask("http", { method: "search", key: user, json: { query: "walnut" } });
    expect(body).toMatchObject({ reranked: false, rerank_skipped: "overloaded", total_matching: 1 });
    await slow.stop();
  });
});

describe("without a reranker", () => {
  it("documents are refused: at once where it is gone, at the deadline where it hangs, and served again when it is back", async () => {
    const rerank = (timeoutMs = 10_000) => Promise.all(TRANSPORTS.map((transport) => gateway.ask(transport, { method: "rerank", key, json: { query: QUERY, documents: DOCUMENTS }, headers: { "request-timeout-ms": String(timeoutMs) } })));
    await stack.whileRerankerStands(async () => {
      expect((await rerank(500)).map(({ code }) => code)).toEqual(["deadline_exceeded", "deadline_exceeded"]);
    });
    await stack.killReranker();
    expect(await rerank()).toMatchObject([{ code: "unavailable", status: 503, retryAfter: "1" }, { code: "unavailable", retryAfter: "1" }]);
    await stack.startReranker();
    let codes = (await rerank()).map(({ code }) => code);
    for (let tries = 0; tries < 50 && codes.includes("unavailable"); tries++) {
      await delay(100);
      codes = (await rerank()).map(({ code }) => code);
    }
    expect(codes).toEqual(["ok", "ok"]);
  });
});

describe("what was sent", () => {
  it("is in no log line and no metric, and was counted", async () => {
    const metrics = (await stack.metrics(gateway)).join("\n");
    for (const secret of ["zirconium", "walnuts", "ada-7731", key]) {
      expect(stack.output).not.toContain(secret);
      expect(metrics).not.toContain(secret);
    }
    for (const transport of TRANSPORTS) expect(metrics).toMatch(new RegExp(`memseal_requests_total{method="rerank",transport="${transport}",code="ok",track="stable"} [1-9]`));
    expect(metrics).toMatch(/memseal_requests_total{method="rerank_stream",transport="grpc",code="ok",track="stable"} [1-9]/);
  });

  it("took bounded memory", () => {
    for (const pid of stack.pids) {
      const peakKib = Number(/^VmHWM:\s+(\d+)/m.exec(readFileSyncOrEmpty(`/proc/${pid}/status`))?.[1] ?? 0);
      expect(peakKib / 1_024).toBeLessThan(900);
    }
  });
});

/** Of a process that is gone: nothing. */
function readFileSyncOrEmpty(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
