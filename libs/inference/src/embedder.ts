import { StartupError } from "@memseal/errors";
import type { ModelSpec, Provider } from "./model-store.js";
import { ModelSession, type LoadOptions, type ModelByProvider } from "./session.js";
import type { TokenSequence, TokenWindow } from "./tokenizer.js";

const MODELS: ModelByProvider = { cpu: "all-minilm-l6-v2" };

/** A sentence embedder: text in, float32[dimension] of unit length out. */
export class Embedder {
  readonly model: string;
  readonly provider: Provider;
  readonly dimension: number;

  private constructor(private readonly session: ModelSession<"embedder">) {
    this.model = session.spec.name;
    this.provider = session.provider;
    this.dimension = session.spec.dimension;
  }

  /** Checked, loaded and warm. @throws StartupError */
  static async load(options: LoadOptions): Promise<Embedder> {
    const embedder = new Embedder(await ModelSession.open("embedder", MODELS, options));
    await embedder.embedText("warm up");
    return embedder;
  }

  /** The windows a document is embedded by (Tokenizer.windows). */
  windows(text: string, speaker?: string): TokenWindow[] {
    return this.session.tokenizer.windows(text, speaker);
  }

  embedQuery(text: string): Promise<Float32Array> {
    return this.embedText(`${this.session.spec.query_prefix ?? ""}${text}`);
  }

  /** A text as the model reads it: what is longer than `max_tokens` is cut. */
  async embedText(text: string): Promise<Float32Array> {
    const [vector] = await this.embed([this.session.tokenizer.text(text)]);
    return vector;
  }

  /** All in one run; on a CPU one at a time (ModelSession.run). */
  async embed(sequences: readonly TokenSequence[]): Promise<Float32Array[]> {
    const outputs = await this.session.run(sequences);
    return outputs.map((output) => sentenceVector(output, this.session.spec));
  }
}

/**
 * A text's vector, from what the graph gives for it: float32[dimension], or float32[tokens, dimension] of which the first counts.
 * @throws StartupError where that is neither
 */
export function sentenceVector(output: Float32Array, { name, dimension, normalized, pooling }: Pick<ModelSpec<"embedder">, "name" | "dimension" | "normalized" | "pooling">): Float32Array {
  if (pooling === undefined ? output.length !== dimension : output.length % dimension !== 0) {
    throw new StartupError(`${name} gives ${output.length} values where its model.json says ${dimension}`);
  }
  const vector = output.slice(0, dimension);
  if (normalized) return vector;
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}
