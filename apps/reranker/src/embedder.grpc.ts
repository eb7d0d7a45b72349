import type { Metadata, ServerUnaryCall } from "@grpc/grpc-js";
import {
  EmbedderControllerMethods,
  encodeVector,
  LIMITS,
  parseEmbedDocuments,
  parseEmbedQuery,
  type EmbedDocumentsRequest,
  type EmbedDocumentsResponse,
  type EmbedQueryRequest,
  type EmbedQueryResponse,
} from "@memseal/contracts/reranker";
import { InvalidArgumentError } from "@memseal/errors";
import { Controller, Inject } from "@nestjs/common";
import { callScope } from "./call-scope.js";
import type { Embeddings } from "./embeddings.js";

export const EMBEDDINGS = Symbol("embeddings");

/** Messages in, work for the embedder, messages out. */
@Controller()
@EmbedderControllerMethods()
export class EmbedderGrpc {
  constructor(@Inject(EMBEDDINGS) private readonly embeddings: Embeddings) {}

  async embedQuery(
    request: EmbedQueryRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<EmbedQueryRequest, EmbedQueryResponse>,
  ): Promise<EmbedQueryResponse> {
    const vector = await this.embeddings.embedQuery(parseEmbedQuery(request), callScope(call));
    return { model: this.embeddings.model, vector: encodeVector(vector) };
  }

  async embedDocuments(
    request: EmbedDocumentsRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<EmbedDocumentsRequest, EmbedDocumentsResponse>,
  ): Promise<EmbedDocumentsResponse> {
    const documents = parseEmbedDocuments(request);
    const scope = callScope(call);
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
