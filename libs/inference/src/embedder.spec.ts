import { StartupError } from "@memseal/errors";
import { Embedder } from "./embedder.js";

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
    expect(largestDifference(await embedder.embed(window.sequence), await embedder.embedText("Ana: I like tea."))).toBeLessThanOrEqual(1e-6);
  });

  it("runs on the CPU where no GPU was asked for, and refuses a GPU it has no graph for", async () => {
    expect(embedder.provider).toBe("cpu");
    await expect(Embedder.load({ device: "cuda" })).rejects.toThrow(StartupError);
  });
});
