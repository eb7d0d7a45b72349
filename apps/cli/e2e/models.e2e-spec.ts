import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { runToExit } from "@memseal/transport/testing";

const WORKSPACE = fileURLToPath(new URL("../../../", import.meta.url));
const GRAPH = randomBytes(300_000);
const REVISION = "ab".repeat(20);
const PATH = `/acme/graph/resolve/${REVISION}/onnx/graph.onnx`;

interface VerifiedFile { model: string; path: string; state: string }
interface Registry { models: { model: { name: string; kind: string; files: Record<string, { bytes: number; sha256: string }> } }[] }

let installation: string;
let modelsDir: string;
let shipped: string;
let server: Server;
let hub: string;
let asked: { url: string | undefined; range: string | undefined }[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

/** What is built, with models and a registry of its own: those of the workspace stay as they are. */
beforeAll(async () => {
  installation = mkdtempSync(join(tmpdir(), "memseal-models-"));
  for (const path of ["apps/cli/dist", "apps/cli/package.json", "libs/inference/dist", "libs/inference/package.json", "libs/inference/models"]) {
    cpSync(join(WORKSPACE, path), join(installation, path), { recursive: true });
  }
  mkdirSync(join(installation, "node_modules/@memseal"), { recursive: true });
  for (const name of readdirSync(join(WORKSPACE, "node_modules")).filter((one) => one !== "@memseal")) symlinkSync(join(WORKSPACE, "node_modules", name), join(installation, "node_modules", name));
  for (const name of readdirSync(join(WORKSPACE, "libs"))) {
    symlinkSync(name === "inference" ? join(installation, "libs/inference") : join(WORKSPACE, "libs", name), join(installation, "node_modules/@memseal", name));
  }
  shipped = join(installation, "libs/inference/models");
  const registry = JSON.parse(readFileSync(join(shipped, "registry.json"), "utf8")) as Registry;
  const { model: embedder } = registry.models.find(({ model }) => model.kind === "embedder")!;
  const acme = {
    download: { repository: "acme/graph", revision: REVISION, paths: { "graph.onnx": "onnx/graph.onnx" } },
    model: {
      ...embedder, name: "acme", graphs: { cpu: "graph.onnx" },
      files: { "graph.onnx": { bytes: GRAPH.length, sha256: createHash("sha256").update(GRAPH).digest("hex") }, "tokenizer.json": embedder.files["tokenizer.json"] },
    },
  };
  writeFileSync(join(shipped, "registry.json"), JSON.stringify({ models: [...registry.models, acme] }));
  server = createServer((request, response) => {
    asked.push({ url: request.url, range: request.headers.range });
    answer(request, response);
  });
  await new Promise<void>((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  hub = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => { server.close(resolve); });
  rmSync(installation, { recursive: true });
});

beforeEach(() => {
  asked = [];
  modelsDir = mkdtempSync(join(installation, "pulled-"));
});

const cli = () => join(installation, "apps/cli/dist/main.js");
const env = () => ({ MEMSEAL_MODELS_DIR: modelsDir, MEMSEAL_MODEL_HUB: hub });
const run = (...args: string[]) => runToExit(cli(), env(), ["models", ...args]);
const verified = async () => {
  const { code, lines } = await run("verify", "--json");
  return { code, files: JSON.parse(lines[0]) as VerifiedFile[] };
};

/** The graph from where it is asked for; lost after so many bytes. */
const graph = (bytes = Infinity) => (request: IncomingMessage, response: ServerResponse): void => {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  response.writeHead(from > 0 ? 206 : 200, { "content-length": GRAPH.length - from, ...(from > 0 && { "content-range": `bytes ${from}-${GRAPH.length - 1}/${GRAPH.length}` }) });
  if (bytes === Infinity) response.end(GRAPH.subarray(from));
  else response.write(GRAPH.subarray(from, from + bytes), () => { setTimeout(() => { response.destroy(); }, 20); });
};

describe("memseal models verify", () => {
  it("passes the models that ship, file by file", async () => {
    const { code, files } = await verified();
    expect(code).toBe(0);
    expect(files.filter(({ state }) => state !== "ok")).toEqual([]);
    const onDisk = readdirSync(shipped, { recursive: true, encoding: "utf8" }).filter((path) => /\.(onnx|json)$/.test(path) && path !== "registry.json");
    expect(files.map(({ path }) => path).sort()).toEqual(onDisk.map((path) => join(shipped, path)).sort());
  });

  it.each(["memseal-rerank-mini", "all-minilm-l6-v2"])("names the file of %s in which one bit is another, and no other file, and ends with 1", async (model) => {
    const name = readdirSync(join(shipped, model)).find((file) => file.endsWith(".onnx"))!;
    const file = join(shipped, model, name);
    const before = readFileSync(file);
    const flipped = Buffer.from(before);
    flipped[flipped.length >> 1] ^= 1;
    writeFileSync(file, flipped);
    try {
      const { code, files } = await verified();
      expect(code).toBe(1);
      expect(files.filter(({ state }) => state !== "ok")).toEqual([{ model, path: file, state: "altered" }]);
      expect((await run("verify")).lines).toContainEqual(expect.stringMatching(new RegExp(`^${model} +altered +${file}$`)));
    } finally {
      writeFileSync(file, before);
    }
    expect((await verified()).code).toBe(0);
  });

  it("names a file that is gone", async () => {
    const file = join(shipped, "memseal-rerank-mini/model.json");
    const before = readFileSync(file);
    rmSync(file);
    const { code, files } = await verified();
    writeFileSync(file, before);
    expect([code, files.filter(({ state }) => state !== "ok")]).toEqual([1, [{ model: "memseal-rerank-mini", path: file, state: "missing" }]]);
  });
});

describe("memseal models pull", () => {
  it("fetches a model at its pinned revision, once, and it verifies", async () => {
    answer = graph();
    expect(await run("pull", "acme")).toEqual({ code: 0, lines: ["pulled acme"] });
    expect(asked).toEqual([{ url: PATH, range: undefined }]);
    expect(readFileSync(join(modelsDir, "acme/graph.onnx")).equals(GRAPH)).toBe(true);
    expect(readdirSync(modelsDir)).toEqual(["acme"]);
    expect(await run("pull", "acme")).toEqual({ code: 0, lines: ["acme is there already"] });
    expect(asked).toHaveLength(1);
    const { code, files } = await verified();
    expect([code, files.filter(({ model }) => model === "acme").map(({ state }) => state)]).toEqual([0, ["ok", "ok", "ok"]]);
  });

  it("goes on where a connection was lost", async () => {
    const answers = [graph(100_000), graph()];
    answer = (request, response) => { answers.shift()!(request, response); };
    expect(await run("pull", "acme")).toEqual({ code: 0, lines: ["pulled acme"] });
    expect(asked.map(({ range }) => range)).toEqual([undefined, "bytes=100000-"]);
    expect(readFileSync(join(modelsDir, "acme/graph.onnx")).equals(GRAPH)).toBe(true);
  });

  it("killed with kill -9, goes on in the next call", async () => {
    answer = (_request, response) => { response.writeHead(200, { "content-length": GRAPH.length }).write(GRAPH.subarray(0, 200_000)); };
    const child = spawn(process.execPath, [cli(), "models", "pull", "acme"], { env: { PATH: process.env["PATH"], ...env() }, stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const partial = join(modelsDir, ".pull-acme/graph.onnx");
    while (!existsSync(partial) || statSync(partial).size < 200_000) await delay(10);
    child.kill("SIGKILL");
    await ended;
    expect(existsSync(join(modelsDir, "acme"))).toBe(false);
    answer = graph();
    expect(await run("pull", "acme")).toEqual({ code: 0, lines: ["pulled acme"] });
    expect(asked.map(({ range }) => range)).toEqual([undefined, "bytes=200000-"]);
    expect(readdirSync(modelsDir)).toEqual(["acme"]);
    expect(readFileSync(join(modelsDir, "acme/graph.onnx")).equals(GRAPH)).toBe(true);
  });

  it.each<[string, Buffer]>([
    ["of the right length and another hash", Buffer.concat([GRAPH.subarray(0, -1), Buffer.of(GRAPH[GRAPH.length - 1] ^ 1)])],
    ["that is too long", Buffer.concat([GRAPH, Buffer.of(0)])],
  ])("refuses a file %s: it installs nothing, and keeps nothing of that file", async (_what, bytes) => {
    answer = (_request, response) => { response.end(bytes); };
    const { code, lines } = await run("pull", "acme");
    expect([code, lines]).toEqual([1, [expect.stringContaining("nothing was installed")]]);
    expect(readdirSync(modelsDir, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith("graph.onnx"))).toEqual([]);
    expect(existsSync(join(modelsDir, "acme"))).toBe(false);
    expect((await verified()).files.filter(({ model }) => model === "acme")).toEqual([]);
  });

  it("says which models there are where it knows none of that name, and that a shipped one needs no fetching", async () => {
    expect(await run("pull", "nobody")).toEqual({ code: 1, lines: [expect.stringContaining("there is no model nobody: known are all-minilm-l6-v2")] });
    expect(await run("pull", "memseal-rerank-mini")).toEqual({ code: 1, lines: [expect.stringContaining("ships with Memseal")] });
    expect(asked).toEqual([]);
  });
});
