import type { DocumentToEmbed } from "@memseal/contracts/reranker";
import { Batcher, oneAtATime, type CallScope, type Work } from "./batcher.js";
import type { DocumentWindow, Embeddings } from "./embeddings.js";
import type { EmbeddingsEndpoint } from "./embeddings-endpoint.js";
import { windowsOf } from "./model-embeddings.js";
import type { ModelPool } from "./model-pool.js";

/** Requests under way at once, and those that may wait ahead of a call. Queries have their own: no write stands before them. */
const QUERIES = { atOnce: 16, waiting: 64 };
const DOCUMENTS = { atOnce: 4, waiting: 64 };
/** Requests of one caller before it is another's turn. */
const TURN = 4;
/** Of one request: what servers of this protocol take by default. */
const TEXTS_A_REQUEST = 32;

/** Somebody else's model, behind an endpoint. Texts are cut here, as the embedder that ships reads them. */
export class EndpointEmbeddings implements Embeddings {
  readonly model: string;
  readonly #queries = slots(QUERIES);
  readonly #documents = slots(DOCUMENTS);
  readonly #request: Work<number, EndpointRequest, Float32Array[]>;

  constructor(private readonly endpoint: EmbeddingsEndpoint, private readonly cutters: ModelPool<"cut">) {
    this.model = endpoint.model;
    this.#request = oneAtATime((_slot, { texts, scope }) => this.endpoint.embed(texts, scope));
  }

  async embedQuery(text: string, scope: CallScope): Promise<Float32Array> {
    const [[vector]] = await this.#queries.submit("call", this.#request, [{ texts: [text], scope }], scope);
    return vector;
  }

  windows(documents: readonly DocumentToEmbed[], scope: CallScope): Promise<DocumentWindow[][]> {
    return windowsOf(this.cutters.batcher, documents, scope);
  }

  async embedWindows(windows: readonly DocumentWindow[], scope: CallScope): Promise<Float32Array[]> {
    const texts = textsOf(windows);
    const requests = Array.from({ length: Math.ceil(texts.length / TEXTS_A_REQUEST) }, (_, n) => ({ texts: texts.slice(n * TEXTS_A_REQUEST, (n + 1) * TEXTS_A_REQUEST), scope }));
    return (await this.#documents.submit("call", this.#request, requests, scope)).flat();
  }
}

interface EndpointRequest {
  texts: readonly string[];
  scope: CallScope;
}

function slots({ atOnce, waiting }: { atOnce: number; waiting: number }): Batcher<number, "call"> {
  return new Batcher(Array.from({ length: atOnce }, (_, n) => n), { call: { capacity: waiting, turn: TURN } });
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
