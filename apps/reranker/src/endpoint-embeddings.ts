import type { DocumentToEmbed } from "@memseal/contracts/reranker";
import type { DocumentWindow, Embeddings } from "./embeddings.js";
import type { EmbeddingsEndpoint } from "./embeddings-endpoint.js";
import type { ModelPool } from "./model-pool.js";
import { WorkQueue, type CallScope } from "./work-queue.js";

/** Requests under way at once, and tasks that may wait ahead of a call. Queries have their own: no write stands before them. */
const QUERIES = { atOnce: 16, waiting: 64 };
const DOCUMENTS = { atOnce: 4, waiting: 64 };
/** Of one request: what servers of this protocol take by default. */
const TEXTS_A_REQUEST = 32;

/** Somebody else's model, behind an endpoint. Texts are cut here, as the embedder that ships reads them. */
export class EndpointEmbeddings implements Embeddings {
  readonly model: string;
  readonly #queries = slots(QUERIES);
  readonly #documents = slots(DOCUMENTS);

  constructor(private readonly endpoint: EmbeddingsEndpoint, private readonly cutters: ModelPool<"cut">) {
    this.model = endpoint.model;
  }

  async embedQuery(text: string, scope: CallScope): Promise<Float32Array> {
    const [[vector]] = await this.#queries.submit("call", [() => this.endpoint.embed([text], scope)], scope);
    return vector;
  }

  async windows(documents: readonly DocumentToEmbed[], scope: CallScope): Promise<DocumentWindow[][]> {
    const windows = await this.cutters.queue.submit("document", documents.map(({ text, speaker }) => (worker) => worker.call("windows", text, speaker)), scope);
    return windows.map((ofOne, i) => ofOne.map((window) => ({ ...window, document: documents[i] })));
  }

  async embedWindows(windows: readonly DocumentWindow[], scope: CallScope): Promise<Float32Array[]> {
    const texts = textsOf(windows);
    const requests = Array.from({ length: Math.ceil(texts.length / TEXTS_A_REQUEST) }, (_, n) => texts.slice(n * TEXTS_A_REQUEST, (n + 1) * TEXTS_A_REQUEST));
    const vectors = await this.#documents.submit("call", requests.map((some) => () => this.endpoint.embed(some, scope)), scope);
    return vectors.flat();
  }
}

function slots({ atOnce, waiting }: { atOnce: number; waiting: number }): WorkQueue<number, "call"> {
  return new WorkQueue(Array.from({ length: atOnce }, (_, n) => n), { call: waiting });
}

/** `speaker: text` of each window. */
function textsOf(windows: readonly DocumentWindow[]): string[] {
  let pointsOf: { document: DocumentToEmbed; points: readonly string[] } | undefined;
  return windows.map(({ document, start, end }) => {
    if (pointsOf?.document !== document) pointsOf = { document, points: Array.from(document.text) };
    const text = pointsOf.points.slice(start, end).join("");
    return document.speaker === undefined ? text : `${document.speaker}: ${text}`;
  });
}
