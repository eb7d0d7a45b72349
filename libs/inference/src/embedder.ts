import type { Provider } from "./model-store.js";
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
    const session = await ModelSession.open("embedder", MODELS, options);
    await session.warmUp(session.spec.dimension);
    return new Embedder(session);
  }

  /** The windows a document is embedded by (Tokenizer.windows). */
  windows(text: string, speaker?: string): TokenWindow[] {
    return this.session.tokenizer.windows(text, speaker);
  }

  /** A text as the model reads it: what is longer than `max_tokens` is cut. */
  embedText(text: string): Promise<Float32Array> {
    return this.embed(this.session.tokenizer.text(text));
  }

  embed(sequence: TokenSequence): Promise<Float32Array> {
    return this.session.run(sequence);
  }
}
