import { CROSS_ENCODERS } from "./cross-encoder.js";
import { loadModel, type Provider } from "./model-store.js";
import type { LoadOptions } from "./session.js";
import { Tokenizer, type TokenSequence } from "./tokenizer.js";

/** How long a query's tokens wait for its next passages. */
const QUERY_KEPT_MS = 1_000;

/** Makes what a cross-encoder reads: `[CLS] query [SEP] passage [SEP]`, the query cut at `max_query_tokens`, the pair at `max_tokens`. */
export class PairTokenizer {
  readonly model: string;
  #query: { text: string; ids: readonly number[] } | undefined;
  // Nothing says which passages are a query's last.
  readonly #forgetting = setTimeout(() => { this.#query = undefined; }, QUERY_KEPT_MS).unref();

  private constructor(private readonly tokenizer: Tokenizer, readonly provider: Provider, private readonly spec: { name: string; max_query_tokens: number }) {
    this.model = spec.name;
  }

  /** device: where the cross-encoder runs, which decides on its model. @throws StartupError */
  static async load({ device, model, modelsDir }: LoadOptions): Promise<PairTokenizer> {
    const provider = device === "cuda" ? "cuda" : "cpu";
    const { spec, tokenizer } = await loadModel({ model: model ?? CROSS_ENCODERS[provider] ?? CROSS_ENCODERS.cpu, kind: "cross-encoder", provider, modelsDir });
    return new PairTokenizer(new Tokenizer(tokenizer, spec.max_tokens), provider, spec);
  }

  /** Of each passage, in their order. */
  pairs(query: string, passages: readonly string[]): TokenSequence[] {
    this.#forgetting.refresh();
    // The passages of one query come a few at a time: it is tokenised for the first.
    if (this.#query?.text !== query) this.#query = { text: query, ids: this.tokenizer.ids(query, this.spec.max_query_tokens) };
    const { ids } = this.#query;
    return passages.map((passage) => this.tokenizer.pair(ids, passage));
  }
}
