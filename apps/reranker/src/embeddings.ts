import type { DocumentToEmbed } from "@memseal/contracts/reranker";
import type { TokenWindow } from "@memseal/inference";
import type { CallScope } from "./batcher.js";

/** A window and the text and speaker it is of. */
export interface DocumentWindow extends TokenWindow {
  document: DocumentToEmbed;
}

/** What stands behind the embedder service. Every method throws what a queue does (Batcher.submit). */
export interface Embeddings {
  readonly model: string;
  /** float32[dimension], unit length. */
  embedQuery(text: string, scope: CallScope): Promise<Float32Array>;
  /** Of each document, in their order. */
  windows(documents: readonly DocumentToEmbed[], scope: CallScope): Promise<DocumentWindow[][]>;
  /** A vector a window, in their order. */
  embedWindows(windows: readonly DocumentWindow[], scope: CallScope): Promise<Float32Array[]>;
}
