import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CrossEncoder } from "./cross-encoder.js";
import { SHIPPED_MODELS_DIR } from "./model-store.js";
import { PairTokenizer } from "./pair-tokenizer.js";

const QUERY = "Where does Ana live now?";
const RELEVANT = "[2023-05-08] Ana: I finally moved to Lisbon last month and I love my flat there.";
const UNRELATED = "[2023-05-08] Ben: The printer on the second floor is out of toner again.";

describe("CrossEncoder", () => {
  let crossEncoder: CrossEncoder;
  let tokenizer: PairTokenizer;
  beforeAll(async () => { [crossEncoder, tokenizer] = [await CrossEncoder.load({ device: "cpu" }), await PairTokenizer.load({ device: "cpu" })]; });
  const score = async (query: string, passage: string) => (await crossEncoder.score(tokenizer.pairs(query, [passage])))[0];

  it("gives a relevant passage a higher logit", async () => {
    expect(await score(QUERY, RELEVANT)).toBeGreaterThan(2 + (await score(QUERY, UNRELATED)));
  });

  it("gives a pair the same score alone and under load", async () => {
    const alone = await score(QUERY, RELEVANT);
    const others = Array.from({ length: 12 }, (_, n) => score(`another question ${n}`, "some passage ".repeat(n * 8)));
    const loaded = await score(QUERY, RELEVANT);
    await Promise.all(others);
    expect(loaded).toEqual(alone);
  });

  it("scores texts far longer than it reads: 64 tokens of the query, 256 of the pair", async () => {
    const [pair] = tokenizer.pairs("why ".repeat(500), ["word ".repeat(10_000)]);
    expect([pair.ids.length, pair.typeIds.indexOf(1)]).toEqual([256, 66]);
    expect(await crossEncoder.score([pair])).toEqual([expect.any(Number)]);
  });

  it("falls back to the CPU model under auto, and refuses to start under cuda, where there is no GPU", async () => {
    // The machine may have a GPU; both answers are then the GPU's.
    const asked = await CrossEncoder.load({ device: "cuda" }).catch((error: unknown) => error as Error);
    const found = await CrossEncoder.load({ device: "auto" });
    if (asked instanceof CrossEncoder) {
      expect(found).toMatchObject({ model: "memseal-rerank-small", provider: "cuda" });
    } else {
      expect(asked.message).toContain("cuda cannot be used here: install the CUDA libraries");
      expect(found).toMatchObject({ model: "memseal-rerank-mini", provider: "cpu" });
    }
  });

  it("refuses a damaged GPU model under auto rather than passing it over", async () => {
    const modelsDir = await mkdtemp(join(tmpdir(), "memseal-models-"));
    await cp(SHIPPED_MODELS_DIR, modelsDir, { recursive: true });
    await writeFile(join(modelsDir, "memseal-rerank-small/model_fp16.onnx"), "not a graph");
    await expect(CrossEncoder.load({ device: "auto", modelsDir })).rejects.toThrow("model_fp16.onnx is not the file model.json describes");
    await rm(modelsDir, { recursive: true });
  });
});
