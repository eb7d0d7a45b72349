import { loadModel, type Provider } from "./model-store.js";
import { Tokenizer, type TokenWindow } from "./tokenizer.js";

const MODEL = "all-minilm-l6-v2";

/** Cuts texts as the shipped embedder reads them, for a model that is somewhere else. */
export class Windower {
  readonly model = MODEL;
  readonly provider: Provider = "cpu";

  private constructor(private readonly tokenizer: Tokenizer) {}

  /** @throws StartupError */
  static async load(): Promise<Windower> {
    const { spec, tokenizer } = await loadModel({ model: MODEL, kind: "embedder", provider: "cpu" });
    return new Windower(new Tokenizer(tokenizer, spec.max_tokens));
  }

  windows(text: string, speaker?: string): TokenWindow[] {
    return this.tokenizer.windows(text, speaker);
  }
}
