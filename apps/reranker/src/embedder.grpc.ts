import type { Metadata, ServerUnaryCall } from "@grpc/grpc-js";
import {
  EmbedderControllerMethods,
  encodeVector,
  LIMITS,
  parseEmbedDocuments,
  parseEmbedQuery,
  type DocumentToEmbed,
  type EmbedDocumentsRequest,
  type EmbedDocumentsResponse,
  type EmbedQueryRequest,
  type EmbedQueryResponse,
} from "@memseal/contracts/reranker";
import { InvalidArgumentError } from "@memseal/errors";
import { Controller, Inject } from "@nestjs/common";
import type { CallScope } from "./batcher.js";
import { callScope } from "./call-scope.js";
import type { Embeddings } from "./embeddings.js";
import { ModelMetrics } from "./model-metrics.js";

export const EMBEDDINGS = Symbol("embeddings");

/** Messages in, work for the embedder, messages out. */
@Controller()
@EmbedderControllerMethods()
export class EmbedderGrpc {
  constructor(@Inject(EMBEDDINGS) private readonly embeddings: Embeddings, private readonly metrics: ModelMetrics) {}

  embedQuery(request: EmbedQueryRequest, _metadata: Metadata, call: ServerUnaryCall<EmbedQueryRequest, EmbedQueryResponse>): Promise<EmbedQueryResponse> {
    return this.metrics.observe("embed", "single", async () => {
      const vector = await this.embeddings.embedQuery(parseEmbedQuery(request), callScope(call));
      return { model: this.embeddings.model, vector: encodeVector(vector) };
    });
  }

  embedDocuments(
    request: EmbedDocumentsRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<EmbedDocumentsRequest, EmbedDocumentsResponse>,
  ): Promise<EmbedDocumentsResponse> {
    return this.metrics.observe("embed", "batch", () => this.#embedDocuments(parseEmbedDocuments(request), callScope(call)));
  }

  async #embedDocuments(documents: readonly DocumentToEmbed[], scope: CallScope): Promise<EmbedDocumentsResponse> {
    const windowed = await this.embeddings.windows(documents, scope);
    const windows = windowed.flat();
    // Windows become chunks: what the index would refuse is not worth minutes of a model.
    if (windows.length > LIMITS.chunksPerCall) {
      throw new InvalidArgumentError("documents", `make ${windows.length} windows; at most ${LIMITS.chunksPerCall} fit in a call: send fewer or shorter documents`);
    }
    const vectors = await this.embeddings.embedWindows(windows, scope);

    const embedded = windows.map(({ start, end }, i) => ({ start, end, vector: encodeVector(vectors[i]) }));
    let at = 0;
    return { model: this.embeddings.model, documents: windowed.map(({ length }) => ({ windows: embedded.slice(at, (at += length)) })) };
  }
}
