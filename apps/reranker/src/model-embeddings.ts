import type { DocumentToEmbed } from "@memseal/contracts/reranker";
import { batchesOf } from "./batches.js";
import type { DocumentWindow, Embeddings } from "./embeddings.js";
import type { ModelPool } from "./model-pool.js";
import type { CallScope } from "./work-queue.js";

/** Of one run. A GPU is busy with so many; a query waits for one run at most. A CPU takes one text a run (ModelSession.run). */
const BATCH_TOKENS = { cuda: 16_384, cpu: 0 } as const;

/** A model of our own, in worker threads. */
export class ModelEmbeddings implements Embeddings {
  readonly model: string;

  constructor(private readonly pool: ModelPool<"embed">) {
    this.model = pool.model;
  }

  async embedQuery(text: string, scope: CallScope): Promise<Float32Array> {
    const [vector] = await this.pool.queue.submit("query", [(worker) => worker.call("embedQuery", text)], scope);
    return vector;
  }

  async windows(documents: readonly DocumentToEmbed[], scope: CallScope): Promise<DocumentWindow[][]> {
    const windows = await this.pool.queue.submit("document", documents.map(({ text, speaker }) => (worker) => worker.call("windows", text, speaker)), scope);
    return windows.map((ofOne, i) => ofOne.map((window) => ({ ...window, document: documents[i] })));
  }

  async embedWindows(windows: readonly DocumentWindow[], scope: CallScope): Promise<Float32Array[]> {
    const batches = batchesOf(windows.map(({ sequence }) => sequence.ids.length), BATCH_TOKENS[this.pool.provider]);
    const embedded = await this.pool.queue.submit("document", batches.map((batch) => (worker) => worker.call("embed", batch.map((i) => windows[i].sequence))), scope);
    const vectors = new Array<Float32Array>(windows.length);
    for (const [n, batch] of batches.entries()) for (const [i, index] of batch.entries()) vectors[index] = embedded[n][i];
    return vectors;
  }
}
