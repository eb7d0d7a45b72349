import type { RerankQuery } from "@memseal/contracts/reranker";
import { InvalidArgumentError } from "@memseal/errors";
import type { TokenSequence } from "@memseal/inference";
import { oneAtATime, type CallScope, type Work } from "./batcher.js";
import type { ModelPool } from "./model-pool.js";
import type { ModelThread } from "./model-thread.js";
import type { ModelWork } from "./model-worker.js";

/** Of one run. A GPU is busy with so many; a search waits for one run at most. A CPU takes one pair a run (ModelSession.run). */
const BATCH_TOKENS = { cuda: 16_384, cpu: 0 } as const;
/** A caller that waits no longer than this has somebody before a screen: a search. */
const SOON_MS = 1_000;
/** Passages that are tokenised in one go: 2 ms, after which the first can be scored. */
const PASSAGES_AT_ONCE = 16;
/** English, in BERT's word pieces. */
const CHARACTERS_A_TOKEN = 4;
const MOST_TOKENS = 256;

type RerankThread = ModelThread<ModelWork["rerank"]>;

interface Chunk {
  readonly query: string;
  readonly passages: readonly string[];
}

const TOKENISE = oneAtATime((thread: ModelThread<ModelWork["pairs"]>, { query, passages }: Chunk) => thread.call("pairs", query, passages));

/** What a cross-encoder makes of a query and a passage. */
export interface PairScore {
  /** Any real number; higher is more relevant. */
  readonly logit: number;
  /** That were read, special tokens included. */
  readonly tokens: number;
}

/** A cross-encoder of our own: pairs are made in threads of their own and scored in others. */
export class ModelScores {
  readonly model: string;
  readonly #score: Work<RerankThread, TokenSequence, PairScore>;

  constructor(private readonly pool: ModelPool<"rerank">, private readonly tokenisers: ModelPool<"pairs">) {
    this.model = pool.model;
    this.#score = {
      run: async (thread, pairs) => {
        const logits = await thread.call("score", pairs);
        return logits.map((logit, i) => ({ logit, tokens: pairs[i].ids.length }));
      },
      tokensOf: ({ ids }) => ids.length,
      maxTokens: BATCH_TOKENS[pool.provider],
    };
  }

  /**
   * A score a passage, in their order; with `atLeast` only of the first that there is time for. onScored: told of each as soon as it is known.
   * @throws InvalidArgumentError for another model than the one that is served, and what a queue does (Batcher.submit)
   */
  async score({ query, passages: asked, model, atLeast = Infinity }: RerankQuery, scope: CallScope, onScored?: (index: number, score: PairScore) => void): Promise<PairScore[]> {
    if (model !== undefined && model !== this.model) throw new InvalidArgumentError("model", `is not served here: it is ${this.model}`);
    const lane = scope.deadlineMs <= Date.now() + SOON_MS ? "soon" : "later";
    const expected = asked.map((passage) => expectedTokens(query, passage));
    const passages = asked.slice(0, this.pool.batcher.fitting(lane, expected, atLeast, scope));
    // Refused before anything is tokenised where there is no room.
    const call = this.pool.batcher.enter(lane, this.#score, { items: passages.length, tokens: sum(expected.slice(0, passages.length)) }, scope, onScored);
    const chunks = Array.from({ length: Math.ceil(passages.length / PASSAGES_AT_ONCE) }, (_, n) => ({ query, passages: passages.slice(n * PASSAGES_AT_ONCE, (n + 1) * PASSAGES_AT_ONCE) }));
    this.tokenisers.batcher.submit("passages", TOKENISE, chunks, scope, (n, pairs) => {
      for (const [i, pair] of pairs.entries()) call.add(n * PASSAGES_AT_ONCE + i, pair);
    }).catch((error: unknown) => { call.fail(error as Error); });
    return call.done;
  }
}

/** Before they are tokenised, by their length. */
function expectedTokens(query: string, passage: string): number {
  return Math.min(MOST_TOKENS, 3 + (query.length + passage.length) / CHARACTERS_A_TOKEN);
}

function sum(values: readonly number[]): number {
  return values.reduce((all, one) => all + one, 0);
}
