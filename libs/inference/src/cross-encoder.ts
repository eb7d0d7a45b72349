import { StartupError } from "@memseal/errors";
import type { Provider } from "./model-store.js";
import { ModelSession, type LoadOptions, type ModelByProvider } from "./session.js";
import type { TokenSequence } from "./tokenizer.js";

// Three layers are what a CPU has time for within a search; a GPU has it for six.
export const CROSS_ENCODERS: ModelByProvider = { cpu: "memseal-rerank-mini", cuda: "memseal-rerank-small" };

/** A cross-encoder: a query and a passage in, as `PairTokenizer` has them, one logit out; higher is more relevant. */
export class CrossEncoder {
  readonly model: string;
  readonly provider: Provider;

  private constructor(private readonly session: ModelSession<"cross-encoder">) {
    this.model = session.spec.name;
    this.provider = session.provider;
  }

  /** Checked, loaded and warm. @throws StartupError */
  static async load(options: LoadOptions): Promise<CrossEncoder> {
    const session = await ModelSession.open("cross-encoder", CROSS_ENCODERS, options);
    const [logits] = await session.run([session.tokenizer.pair([], "warm up")]);
    if (logits.length !== 1) throw new StartupError(`${session.spec.name} gives ${logits.length} values for a pair instead of one logit`);
    return new CrossEncoder(session);
  }

  /** A logit a pair, all in one run; on a CPU one at a time (ModelSession.run). */
  async score(pairs: readonly TokenSequence[]): Promise<number[]> {
    const outputs = await this.session.run(pairs);
    return outputs.map(([logit]) => logit);
  }
}
