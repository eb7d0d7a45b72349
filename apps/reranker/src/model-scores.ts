import type { RerankQuery } from "@memseal/contracts/reranker";
import { InvalidArgumentError } from "@memseal/errors";
import type { PairScore } from "@memseal/inference";
import type { ModelPool } from "./model-pool.js";
import type { ModelThread } from "./model-thread.js";
import type { ModelWork } from "./model-worker.js";
import type { CallScope, Task } from "./work-queue.js";

/** A cross-encoder of our own, in worker threads. */
export class ModelScores {
  readonly model: string;

  constructor(private readonly pool: ModelPool<"rerank">) {
    this.model = pool.model;
  }

  /**
   * A score a passage, in their order. onScored: told of each as soon as it is known.
   * @throws InvalidArgumentError for another model than the one that is served, and what a queue does (WorkQueue.submit)
   */
  async score({ query, passages, model }: RerankQuery, scope: CallScope, onScored?: (index: number, score: PairScore) => void): Promise<PairScore[]> {
    if (model !== undefined && model !== this.model) throw new InvalidArgumentError("model", `is not served here: it is ${this.model}`);
    const tasks = passages.map((passage, index): Task<ModelThread<ModelWork["rerank"]>, PairScore> => async (worker) => {
      const score = await worker.call("score", query, passage);
      onScored?.(index, score);
      return score;
    });
    return this.pool.queue.submit("pair", tasks, scope);
  }
}
