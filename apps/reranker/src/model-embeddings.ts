import type { DocumentToEmbed } from "@memseal/contracts/reranker";
import type { TokenSequence, TokenWindow } from "@memseal/inference";
import { oneAtATime, type Batcher, type CallScope, type Work } from "./batcher.js";
import type { DocumentWindow, Embeddings } from "./embeddings.js";
import type { ModelPool } from "./model-pool.js";
import type { ModelThread } from "./model-thread.js";
import type { ModelWork } from "./model-worker.js";

/** Of one run. A GPU is busy with so many; a query waits for one run at most. A CPU takes one text a run (ModelSession.run). */
const BATCH_TOKENS = { cuda: 16_384, cpu: 0 } as const;

type EmbedThread = ModelThread<ModelWork["embed"]>;
type CutThread = Pick<ModelThread<ModelWork["cut"]>, "call">;

const QUERY = oneAtATime((thread: EmbedThread, text: string) => thread.call("embedQuery", text));
const CUT = oneAtATime((thread: CutThread, { text, speaker }: DocumentToEmbed): Promise<TokenWindow[]> => thread.call("windows", text, speaker));

/** A model of our own, in worker threads. */
export class ModelEmbeddings implements Embeddings {
  readonly model: string;
  readonly #embed: Work<EmbedThread, TokenSequence, Float32Array>;

  constructor(private readonly pool: ModelPool<"embed">) {
    this.model = pool.model;
    this.#embed = {
      run: (thread, sequences) => thread.call("embed", sequences),
      tokensOf: ({ ids }) => ids.length,
      maxTokens: BATCH_TOKENS[pool.provider],
    };
  }

  async embedQuery(text: string, scope: CallScope): Promise<Float32Array> {
    const [vector] = await this.pool.batcher.submit("query", QUERY, [text], scope);
    return vector;
  }

  windows(documents: readonly DocumentToEmbed[], scope: CallScope): Promise<DocumentWindow[][]> {
    return windowsOf(this.pool.batcher as unknown as Batcher<CutThread, "window">, documents, scope);
  }

  embedWindows(windows: readonly DocumentWindow[], scope: CallScope): Promise<Float32Array[]> {
    return this.pool.batcher.submit("document", this.#embed, windows.map(({ sequence }) => sequence), scope);
  }
}

/** The windows of each document, in their order. */
export async function windowsOf(batcher: Batcher<CutThread, "window">, documents: readonly DocumentToEmbed[], scope: CallScope): Promise<DocumentWindow[][]> {
  const windows = await batcher.submit("window", CUT, documents, scope);
  return windows.map((ofOne, i) => ofOne.map((window) => ({ ...window, document: documents[i] })));
}
