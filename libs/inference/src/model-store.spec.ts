import { StartupError } from "@memseal/errors";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel, SHIPPED_MODELS_DIR } from "./model-store.js";

const EMBEDDER = { model: "all-minilm-l6-v2", kind: "embedder", provider: "cpu" } as const;

describe("loadModel", () => {
  let modelsDir: string;
  let model: string;

  beforeEach(async () => {
    modelsDir = await mkdtemp(join(tmpdir(), "memseal-models-"));
    model = join(modelsDir, EMBEDDER.model);
    await cp(join(SHIPPED_MODELS_DIR, EMBEDDER.model), model, { recursive: true });
  });

  afterEach(() => rm(modelsDir, { recursive: true }));

  it.each([
    [EMBEDDER],
    [{ model: "memseal-rerank-mini", kind: "cross-encoder", provider: "cpu" }],
    [{ model: "memseal-rerank-small", kind: "cross-encoder", provider: "cpu" }],
    [{ model: "memseal-rerank-small", kind: "cross-encoder", provider: "cuda" }],
  ] as const)("ships %j whole and unaltered", async (choice) => {
    const { spec, graph } = await loadModel(choice);
    expect(spec.name).toBe(choice.model);
    expect(graph.length).toBeGreaterThan(1_000_000);
  });

  it("reads a copied folder by name in a models folder, or by path", async () => {
    await expect(loadModel({ ...EMBEDDER, modelsDir })).resolves.toMatchObject({ spec: { dimension: 384, max_tokens: 256 } });
    await expect(loadModel({ ...EMBEDDER, model })).resolves.toMatchObject({ spec: { name: EMBEDDER.model } });
  });

  it.each(["model_int8.onnx", "tokenizer.json"])("refuses one flipped bit in %s", async (file) => {
    const bytes = await readFile(join(model, file));
    bytes[bytes.length >> 1] ^= 1;
    await writeFile(join(model, file), bytes);
    await expect(loadModel({ ...EMBEDDER, modelsDir })).rejects.toThrow(`${join(model, file)} is not the file model.json describes`);
  });

  it("refuses a file cut short", async () => {
    const bytes = await readFile(join(model, "model_int8.onnx"));
    await writeFile(join(model, "model_int8.onnx"), bytes.subarray(0, -1));
    await expect(loadModel({ ...EMBEDDER, modelsDir })).rejects.toThrow(StartupError);
  });

  it.each(["model_int8.onnx", "tokenizer.json", "model.json"])("names %s when it is missing", async (file) => {
    await rm(join(model, file));
    await expect(loadModel({ ...EMBEDDER, modelsDir })).rejects.toThrow(`${join(model, file)} cannot be read; copy`);
  });

  it.each([
    ["not JSON", "{", "is not JSON"],
    ["of another kind", JSON.stringify({ kind: "cross-encoder" }), "does not describe a model of kind embedder"],
  ])("refuses a model.json %s", async (_name, text, problem) => {
    await writeFile(join(model, "model.json"), text);
    await expect(loadModel({ ...EMBEDDER, modelsDir })).rejects.toThrow(problem);
  });

  it("refuses a graph that model.json places outside its folder", async () => {
    const spec = JSON.parse(await readFile(join(model, "model.json"), "utf8")) as object;
    await writeFile(join(model, "model.json"), JSON.stringify({ ...spec, graphs: { cpu: "../other/model.onnx" } }));
    await expect(loadModel({ ...EMBEDDER, modelsDir })).rejects.toThrow("graphs.cpu");
  });

  it("refuses a provider the model has no graph for", async () => {
    await expect(loadModel({ ...EMBEDDER, provider: "cuda" })).rejects.toThrow("all-minilm-l6-v2 has no graph for cuda");
  });
});
