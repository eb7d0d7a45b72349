import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel, SHIPPED_MODELS_DIR } from "./model-store.js";
import { pullModel, type PullOptions } from "./pull-model.js";
import { knownModel, readRegistry, type KnownModel } from "./registry.js";
import { verifyModels } from "./verify-models.js";

const GRAPH = randomBytes(300_000);
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const REVISION = "ab".repeat(20);
const PATH = `/acme/graph/resolve/${REVISION}/onnx/graph.onnx`;

/** A model of which only the graph is another than the shipped one's. */
const acme: KnownModel = {
  download: { repository: "acme/graph", revision: REVISION, paths: { "graph.onnx": "onnx/graph.onnx" } },
  model: {
    name: "acme", kind: "embedder", dimension: 2, normalized: true, max_tokens: 256, inputs: ["input_ids", "attention_mask", "token_type_ids"], output: "o",
    graphs: { cpu: "graph.onnx" },
    files: {
      "graph.onnx": { bytes: GRAPH.length, sha256: sha256(GRAPH) },
      "tokenizer.json": { bytes: 711_396, sha256: "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66" },
    },
  },
};

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const whole: Answer = (_request, response) => { response.end(GRAPH); };
const ranged: Answer = (request, response) => {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (from > 0) response.writeHead(206, { "content-range": `bytes ${from}-${GRAPH.length - 1}/${GRAPH.length}` });
  response.end(GRAPH.subarray(from));
};
/** As `ranged`, and lost after so many bytes. */
const broken = (bytes: number): Answer => (request, response) => {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  response.writeHead(from > 0 ? 206 : 200, { "content-length": GRAPH.length - from, "content-range": `bytes ${from}-${GRAPH.length - 1}/${GRAPH.length}` });
  response.write(GRAPH.subarray(from, from + bytes), () => { setTimeout(() => { response.destroy(); }, 100); });
};

/** Where a request with a range begins: what of the bytes sent before the cut the client had taken by then. */
const startOf = (range: string | undefined): number => Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1]);

describe("pullModel", () => {
  let server: Server;
  let modelsDir: string;
  let answers: Answer[];
  let ranges: (string | undefined)[];
  let urls: (string | undefined)[];

  beforeEach(async () => {
    [answers, ranges, urls] = [[whole], [], []];
    modelsDir = mkdtempSync(join(tmpdir(), "memseal-pull-"));
    server = createServer((request, response) => {
      urls.push(request.url);
      ranges.push(request.headers.range);
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      answer?.(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(modelsDir, { recursive: true });
  });

  const options = (more: Partial<PullOptions> = {}): PullOptions => ({ modelsDir, hub: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, baseDelayMs: 1, ...more });
  const pull = (more: Partial<PullOptions> = {}, known = acme) => pullModel(known, options(more));

  it("fetches the pinned revision, says how far it is, and leaves a model that can be loaded, once", async () => {
    const seen: number[] = [];
    expect(await pull({ onProgress: ({ bytes, of }) => { seen.push(bytes); expect(of).toBe(GRAPH.length); } })).toBe(true);
    expect(urls).toEqual([PATH]);
    expect(seen.at(-1)).toBe(GRAPH.length);
    expect(await loadModel({ model: "acme", kind: "embedder", provider: "cpu", modelsDir })).toMatchObject({ spec: { name: "acme", dimension: 2 }, graph: GRAPH });
    expect(readdirSync(modelsDir)).toEqual(["acme"]);
    expect(await pull()).toBe(false);
    expect(urls).toHaveLength(1);
  });

  it("goes on where a connection was lost", async () => {
    answers = [broken(100_000), broken(50_000), ranged];
    await pull();
    const [, second, third] = ranges.map(startOf);
    expect(ranges[0]).toBeUndefined();
    expect([ranges.length, second > 0, second <= 100_000, third > second, third <= second + 50_000]).toEqual([3, true, true, true, true]);
    expect(readFileSync(join(modelsDir, "acme/graph.onnx")).equals(GRAPH)).toBe(true);
  });

  it("keeps what it has where the hub stays away, and goes on in the next call", async () => {
    answers = [broken(100_000), (_request, response) => { response.writeHead(503).end(); }];
    await expect(pull()).rejects.toMatchObject({ code: "unavailable" });
    expect(readdirSync(modelsDir)).toEqual([".pull-acme"]);
    answers = [ranged];
    await pull();
    expect([startOf(ranges.at(-1)) > 0, startOf(ranges.at(-1)) <= 100_000]).toEqual([true, true]);
  });

  it("begins anew where a server knows no ranges", async () => {
    answers = [broken(100_000), whole];
    await pull();
    expect(readFileSync(join(modelsDir, "acme/graph.onnx")).equals(GRAPH)).toBe(true);
  });

  it.each<[string, Buffer]>([
    ["another byte", Buffer.concat([GRAPH.subarray(0, -1), Buffer.of((GRAPH.at(-1) ?? 0) ^ 1)])],
    ["more bytes", Buffer.concat([GRAPH, Buffer.of(0)])],
  ])("installs nothing of a file with %s, keeps nothing of it, and says so", async (_name, bytes) => {
    answers = [(_request, response) => { response.end(bytes); }];
    await expect(pull()).rejects.toMatchObject({ code: "data_loss", message: expect.stringContaining("nothing was installed") as string });
    expect(readdirSync(modelsDir)).toEqual([".pull-acme"]);
    expect(readdirSync(join(modelsDir, ".pull-acme"))).not.toContain("graph.onnx");
    answers = [whole];
    expect(await pull()).toBe(true);
  });

  it("says what is wrong where the hub has no such file, and of a model that ships", async () => {
    answers = [(_request, response) => { response.writeHead(404).end(); }];
    await expect(pull()).rejects.toMatchObject({ code: "not_found", message: expect.stringContaining("MEMSEAL_MODEL_HUB") as string });
    expect(urls).toHaveLength(1);
    await expect(pull({}, await knownModel("memseal-rerank-mini"))).rejects.toMatchObject({ code: "failed_precondition" });
  });
});

describe("the registry", () => {
  it("describes the models that ship as their folders do", async () => {
    const ships = (await readRegistry()).filter(({ download }) => download === undefined);
    expect(ships.map(({ model }) => model.name)).toEqual(readdirSync(SHIPPED_MODELS_DIR, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name).sort());
    for (const { model } of ships) expect(JSON.parse(readFileSync(join(SHIPPED_MODELS_DIR, model.name, "model.json"), "utf8"))).toEqual(model);
  });

  it("names each file of each model, its licence and a pinned revision", async () => {
    for (const { model, download } of await readRegistry()) {
      expect(model).toMatchObject({ license: expect.any(String) as string });
      for (const graph of Object.values(model.graphs)) expect(model.files).toHaveProperty([graph]);
      expect(model.files["tokenizer.json"]).toMatchObject({ bytes: 711_396 });
      for (const path of Object.keys(download?.paths ?? {})) expect(model.files).toHaveProperty([path]);
    }
    await expect(knownModel("nope")).rejects.toMatchObject({ code: "not_found", message: expect.stringContaining("bge-small-en-v1.5") as string });
  });
});

describe("verifyModels", () => {
  it("finds the shipped models whole, and of a model beside them what is missing or altered", async () => {
    const modelsDir = mkdtempSync(join(tmpdir(), "memseal-verify-"));
    const [mine, empty] = [join(modelsDir, "mine"), join(modelsDir, "empty")];
    for (const dir of [mine, empty]) mkdirSync(dir);
    const files = { "a.onnx": { bytes: 1, sha256: sha256(Buffer.from("a")) }, "b.onnx": { bytes: 1, sha256: sha256(Buffer.from("b")) }, "c.onnx": { bytes: 1, sha256: sha256(Buffer.from("c")) } };
    writeFileSync(join(mine, "model.json"), JSON.stringify({ files }));
    writeFileSync(join(mine, "a.onnx"), "a");
    writeFileSync(join(mine, "b.onnx"), "x");
    const verified = await verifyModels(modelsDir);
    expect(verified.filter(({ path }) => path.startsWith(SHIPPED_MODELS_DIR)).map(({ state }) => state)).toEqual(Array(10).fill("ok"));
    expect(verified.filter(({ model }) => model === "mine").map(({ path, state }) => [path.slice(mine.length + 1), state])).toEqual([["a.onnx", "ok"], ["b.onnx", "altered"], ["c.onnx", "missing"]]);
    expect(verified.find(({ model }) => model === "empty")).toMatchObject({ state: "missing" });
    rmSync(modelsDir, { recursive: true });
  });

  it("does not take a model's own word for it where the registry knows better", async () => {
    const modelsDir = mkdtempSync(join(tmpdir(), "memseal-verify-"));
    const known = await knownModel("ms-marco-tinybert-l2-v2");
    const dir = join(modelsDir, known.model.name);
    mkdirSync(dir);
    const forged = Buffer.from("forged");
    writeFileSync(join(dir, "model_quantized.onnx"), forged);
    writeFileSync(join(dir, "model.json"), JSON.stringify({ ...known.model, files: { "model_quantized.onnx": { bytes: forged.length, sha256: sha256(forged) } } }));
    const states = (await verifyModels(modelsDir)).filter(({ model }) => model === known.model.name).map(({ path, state }) => [path.slice(dir.length + 1), state]);
    expect(states).toEqual([["model.json", "altered"], ["model_quantized.onnx", "altered"], ["tokenizer.json", "missing"]]);
    rmSync(modelsDir, { recursive: true });
  });
});
