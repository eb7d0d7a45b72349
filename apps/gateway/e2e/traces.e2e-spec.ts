import { OtlpReceiver, type SentSpan } from "./otlp-receiver.js";
import type { Gateway } from "./gateway.js";
import { Stack } from "./stack.js";

let receiver: OtlpReceiver;
let stack: Stack;
let gateway: Gateway;
let key: string;

beforeAll(async () => {
  receiver = await OtlpReceiver.start();
  const env = { MEMSEAL_OTLP_URL: receiver.url, OTEL_BSP_SCHEDULE_DELAY: "200" };
  stack = await Stack.start({ gateway: { ...env, MEMSEAL_TRACE_SHARE: "1" }, indexer: env, reranker: env });
  gateway = await stack.startGateway();
  key = await stack.createKey("ada-7731");
});

afterAll(async () => {
  await stack.stop();
  receiver.stop();
});

/** What is below a span, each with how deep. */
function tree(spans: readonly SentSpan[], parentSpanId = "", depth = 0): string[] {
  return spans.filter((span) => span.parentSpanId === parentSpanId)
    .flatMap((span) => [`${"  ".repeat(depth)}${span.service.replace("memseal-", "")}: ${span.name}`, ...tree(spans, span.spanId, depth + 1)]);
}

/** Whether nothing of it is still on its way: every parent is there, and whatever was called has answered. */
const isWhole = (root: string) => (spans: readonly SentSpan[]) => {
  const has = (id: string) => spans.some(({ spanId }) => spanId === id);
  const isAnswered = ({ kind, attributes, spanId }: SentSpan) => kind !== CLIENT || attributes["rpc.method"] === undefined || spans.some(({ parentSpanId }) => parentSpanId === spanId);
  return spans.some(({ name, parentSpanId }) => name === root && parentSpanId === "") && spans.every((span) => (span.parentSpanId === "" || has(span.parentSpanId)) && isAnswered(span));
};

/** OTLP's number of the kind. */
const CLIENT = 3;
const INDEXER = "memseal.indexer.v1.IndexerService";
const RERANKER = "memseal.reranker.v1.Reranker";
const EMBEDDER = "memseal.reranker.v1.Embedder";

const SEARCH = [
  `  gateway: ${EMBEDDER}/EmbedQuery`,
  `    reranker: ${EMBEDDER}/EmbedQuery`,
  `  gateway: ${INDEXER}/Search`,
  `    indexer: ${INDEXER}/Search`,
  `  gateway: ${RERANKER}/Rerank`,
  `    reranker: ${RERANKER}/Rerank`,
];
const withoutSql = (lines: readonly string[]) => lines.filter((line) => !/: ([A-Z]+|transaction)$/.test(line));

const WARMING = "00-11111111111111111111111111111111-2222222222222222-01";

describe("traces", () => {
  it("show a write over gateway, embedder, indexer and its statements", async () => {
    expect((await gateway.ask("http", { method: "add", key, json: { memories: [{ text: "The walnuts are in the zirconium jar." }] } })).code).toBe("ok");
    const spans = await receiver.trace(isWhole("POST /v1/memories"));
    expect(withoutSql(tree(spans))).toEqual([
      "gateway: POST /v1/memories",
      `  gateway: ${INDEXER}/ResolveKey`,
      `    indexer: ${INDEXER}/ResolveKey`,
      `  gateway: ${EMBEDDER}/EmbedDocuments`,
      `    reranker: ${EMBEDDER}/EmbedDocuments`,
      `  gateway: ${INDEXER}/Put`,
      `    indexer: ${INDEXER}/Put`,
    ]);
    expect(tree(spans).join("\n")).toMatch(/ {4}indexer: memseal\.indexer\.v1\.IndexerService\/ResolveKey\n {6}indexer: SELECT/);
    // The first search loads the index; those below find it there.
    await gateway.ask("http", { method: "search", key, json: { query: "where are the walnuts?", mode: "lexical" }, headers: { traceparent: WARMING } });
    expect(tree(spans).join("\n")).toMatch(/indexer: memseal\.indexer\.v1\.IndexerService\/Put\n(.*\n)* {6,}indexer: INSERT/);
  });

  it.each([
    ["http", "search", "POST /v1/memories/search"],
    ["grpc", "search", "memseal.v1.MemoryService/Search"],
    ["http", "searchStream", "POST /v1/memories/search/stream"],
    ["grpc", "searchStream", "memseal.v1.MemoryService/SearchStream"],
  ] as const)("show a search over %s by %s: embedder, indexer with its statements, reranker", async (transport, method, root) => {
    expect((await gateway.ask(transport, { method, key, json: { query: "where are the walnuts?" } })).code).toBe("ok");
    const spans = await receiver.trace(isWhole(root));
    expect(withoutSql(tree(spans))).toEqual([`gateway: ${root}`, ...SEARCH]);
    expect(tree(spans).filter((line) => line.startsWith("      indexer: "))).toEqual(["      indexer: SELECT", "      indexer: SELECT"]);
    expect(spans.every(({ isError, attributes }) => !isError && attributes["memseal.code"] === "ok")).toBe(true);
  });

  it("go on where the caller's own begins, and say how a request failed", async () => {
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const { code } = await gateway.ask("http", { method: "get", key, json: { id: "019ac5f0-0000-7000-8000-000000000000" }, headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01`, tracestate: "vendor=ada-7731", baggage: "user=ada-7731" } });
    expect(code).toBe("not_found");
    const [root] = await receiver.trace((spans) => spans[0]?.traceId === traceId && spans.some(({ service, kind }) => service === "memseal-gateway" && kind === 2)).then((spans) => spans.filter(({ service, kind }) => service === "memseal-gateway" && kind === 2));
    expect(root).toMatchObject({ name: "GET /v1/memories/:id", parentSpanId: "b7ad6b7169203331", isError: false, attributes: { "memseal.code": "not_found", "http.route": "/v1/memories/:id" } });
  });

  it("are made of the share of requests that the operator chose, whatever their callers want", async () => {
    const untraced = await stack.startGateway({ MEMSEAL_TRACE_SHARE: "0" });
    const wanted = "2af7651916cd43dd8448eb211c80319d";
    expect((await untraced.ask("http", { method: "list", key, headers: { traceparent: `00-${wanted}-b7ad6b7169203331-01` } })).code).toBe("ok");
    await untraced.stop();
    expect(receiver.spans.filter(({ traceId }) => traceId === wanted)).toEqual([]);
  });

  it("hold no text, user id, key or tenant", () => {
    expect(receiver.bodies.length).toBeGreaterThan(0);
    const sent = receiver.bodies.join("\n");
    for (const secret of ["walnuts", "zirconium", "ada-7731", key, key.slice(4), "app.user_hash", "019ac5f0"]) expect(sent).not.toContain(secret);
  });
});

describe("without a receiver", () => {
  it("requests are answered as ever, the process says that traces are lost, and stops in time", async () => {
    const away = await OtlpReceiver.start();
    const other = await stack.startGateway({ MEMSEAL_OTLP_URL: away.url, MEMSEAL_TRACE_SHARE: "1" });
    away.stop();
    expect((await other.ask("http", { method: "search", key, json: { query: "where are the walnuts?" } })).code).toBe("ok");
    for (let tries = 0; tries < 300 && !other.process.lines.some((line) => line.includes("traces lost")); tries++) await new Promise((resolve) => setTimeout(resolve, 100));
    expect(other.process.lines.filter((line) => line.includes('"event":"traces lost"'))).toHaveLength(1);
    await other.stop();
    expect(await other.process.exited).toBe(0);
  });
});
