import { StartupError } from "@memseal/errors";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Embedder, sentenceVector } from "./embedder.js";
import { SHIPPED_MODELS_DIR } from "./model-store.js";
import { ModelSession } from "./session.js";

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((max, value, i) => Math.max(max, Math.abs(value - b[i])), 0);
}

describe("Embedder", () => {
  let embedder: Embedder;
  beforeAll(async () => { embedder = await Embedder.load({ device: "auto" }); });

  it("gives unit vectors of the model's dimension", async () => {
    for (const text of ["I moved to Lisbon in 2019", "a", " ", "word ".repeat(5000)]) {
      const vector = await embedder.embedText(text);
      expect(vector).toHaveLength(embedder.dimension);
      expect(dot(vector, vector)).toBeCloseTo(1, 4);
    }
  });

  it("places related sentences nearer than unrelated ones", async () => {
    const [cat, kitten, tax] = await Promise.all(
      ["A cat is sleeping on the sofa.", "The kitten naps on the couch.", "The tax office sent a letter about last year."].map((text) => embedder.embedText(text)),
    );
    expect(dot(cat, kitten)).toBeGreaterThan(0.5);
    expect(dot(cat, tax)).toBeLessThan(0.2);
  });

  it("gives a text the same vector alone and under load", async () => {
    const alone = await embedder.embedText("the passport is in the blue drawer");
    const others = Array.from({ length: 12 }, (_, n) => embedder.embedText("something else entirely ".repeat(n * 4)));
    const loaded = await embedder.embedText("the passport is in the blue drawer");
    await Promise.all(others);
    expect(largestDifference(alone, loaded)).toBeLessThanOrEqual(1e-5);
  });

  it("embeds a window as the text with its speaker", async () => {
    const [window] = embedder.windows("I like tea.", "Ana");
    const [vector] = await embedder.embed([window.sequence]);
    expect(largestDifference(vector, await embedder.embedText("Ana: I like tea."))).toBeLessThanOrEqual(1e-6);
  });

  it("runs on the CPU where no GPU was asked for, and refuses a GPU it has no graph for", async () => {
    expect(embedder.provider).toBe("cpu");
    await expect(Embedder.load({ device: "cuda" })).rejects.toThrow(StartupError);
  });

  it("takes a vector a token by its first, and makes it unit length, where model.json says so", () => {
    const spec = { name: "m", dimension: 2, normalized: false, pooling: "cls" } as const;
    expect(sentenceVector(Float32Array.of(3, 4, 9, 9, 9, 9), spec)).toEqual(Float32Array.of(0.6, 0.8));
    expect(() => sentenceVector(Float32Array.of(3, 4, 9), spec)).toThrow(StartupError);
    expect(() => sentenceVector(Float32Array.of(3, 4, 9, 9), { ...spec, pooling: undefined })).toThrow("gives 4 values where its model.json says 2");
  });

  it("loads another model by its name, and puts its prefix before queries alone", async () => {
    const modelsDir = await mkdtemp(join(tmpdir(), "memseal-models-"));
    await cp(join(SHIPPED_MODELS_DIR, "all-minilm-l6-v2"), join(modelsDir, "prefixed"), { recursive: true });
    const spec = JSON.parse(await readFile(join(modelsDir, "prefixed/model.json"), "utf8")) as object;
    await writeFile(join(modelsDir, "prefixed/model.json"), JSON.stringify({ ...spec, name: "prefixed", query_prefix: "query: " }));
    const other = await Embedder.load({ device: "auto", model: "prefixed", modelsDir });
    expect(other.model).toBe("prefixed");
    expect(largestDifference(await other.embedQuery("tea"), await embedder.embedText("query: tea"))).toBeLessThanOrEqual(1e-5);
    expect(largestDifference(await other.embedText("tea"), await embedder.embedQuery("tea"))).toBeLessThanOrEqual(1e-5);
    await expect(Embedder.load({ device: "auto", model: "absent", modelsDir })).rejects.toThrow("there is no model absent among those that ship or in");
    await rm(modelsDir, { recursive: true });
  });
});

describe("a batch", () => {
  it("gives a graph in floating point the same for each text as alone, within 1e-3 of logits that spread over 10", async () => {
    // The graph for GPUs, on this CPU.
    const modelsDir = await mkdtemp(join(tmpdir(), "memseal-models-"));
    await cp(join(SHIPPED_MODELS_DIR, "memseal-rerank-small"), join(modelsDir, "fp16"), { recursive: true });
    const spec = JSON.parse(await readFile(join(modelsDir, "fp16/model.json"), "utf8")) as object;
    await writeFile(join(modelsDir, "fp16/model.json"), JSON.stringify({ ...spec, graphs: { cpu: "model_fp16.onnx" } }));
    const session = await ModelSession.open("cross-encoder", { cpu: "fp16" }, { device: "cpu", modelsDir });
    const query = session.tokenizer.ids("Where does Ana live now?", 64);
    const pairs = ["Ana lives in Lisbon.", "toner ".repeat(60), "The cat sleeps. ".repeat(9)].map((passage) => session.tokenizer.pair(query, passage));
    const together = await session.run(pairs);
    for (const [i, pair] of pairs.entries()) {
      const [[alone]] = await session.run([pair]);
      expect(Math.abs(together[i][0] - alone)).toBeLessThanOrEqual(1e-3);
    }
    expect(together[0][0]).toBeGreaterThan(together[1][0] + 2);
    await rm(modelsDir, { recursive: true });
  });
});
