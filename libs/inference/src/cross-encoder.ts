import { StartupError } from "@memseal/errors";
import type { Provider } from "./model-store.js";
import { ModelSession, type LoadOptions, type ModelByProvider } from "./session.js";

// Three layers are what a CPU has time for within a search; a GPU has it for six.
const MODELS: ModelByProvider = { cpu: "memseal-rerank-mini", cuda: "memseal-rerank-small" };

/** What a cross-encoder makes of a query and a passage. */
export interface PairScore {
  /** Any real number; higher is more relevant. */
  readonly logit: number;
  /** That were read, special tokens included. */
  readonly tokens: number;
}

/** A cross-encoder: a query and a passage in, one logit out. */
export class CrossEncoder {
  readonly model: string;
  readonly provider: Provider;
  #query: { text: string; ids: readonly number[] } | undefined;

  private constructor(private readonly session: ModelSession<"cross-encoder">) {
    this.model = session.spec.name;
    this.provider = session.provider;
  }

  /** Checked, loaded and warm. @throws StartupError */
  static async load(options: LoadOptions): Promise<CrossEncoder> {
    const session = await ModelSession.open("cross-encoder", MODELS, options);
    const [logits] = await session.run([session.tokenizer.pair([], "warm up")]);
    if (logits.length !== 1) throw new StartupError(`${session.spec.name} gives ${logits.length} values for a pair instead of one logit`);
    return new CrossEncoder(session);
  }

  async score(query: string, passage: string): Promise<PairScore> {
    // The passages of one query come one after another: it is tokenised for the first.
    if (this.#query?.text !== query) {
      this.#query = { text: query, ids: this.session.tokenizer.ids(query, this.session.spec.max_query_tokens) };
    }
    const pair = this.session.tokenizer.pair(this.#query.ids, passage);
    const [[logit]] = await this.session.run([pair]);
    return { logit, tokens: pair.ids.length };
  }
}
