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
import { ModelPool } from "./model-pool.js";

export const EMBED_POOL = Symbol("embed pool");

/** Messages in, work for the embedder, messages out. */
@Controller()
@EmbedderControllerMethods()
export class EmbedderGrpc {
  constructor(@Inject(EMBED_POOL) private readonly pool: ModelPool<"embed">) {}

  async embedQuery(
    request: EmbedQueryRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<EmbedQueryRequest, EmbedQueryResponse>,
  ): Promise<EmbedQueryResponse> {
    const text = parseEmbedQuery(request);
    const [vector] = await this.pool.queue.submit("query", [(worker) => worker.call("embedText", text)], callScope(call));
    return { model: this.pool.model, vector: encodeVector(vector) };
  }

  async embedDocuments(
    request: EmbedDocumentsRequest,
    _metadata: Metadata,
    call: ServerUnaryCall<EmbedDocumentsRequest, EmbedDocumentsResponse>,
  ): Promise<EmbedDocumentsResponse> {
    const documents = parseEmbedDocuments(request);
    const scope = callScope(call);
    const { queue, model } = this.pool;
    const windowed = await queue.submit("document", documents.map(({ text, speaker }) => (worker) => worker.call("windows", text, speaker)), scope);
    const windows = windowed.flat();
    // Windows become chunks: what the index would refuse is not worth minutes of a model.
    if (windows.length > LIMITS.chunksPerCall) {
      throw new InvalidArgumentError("documents", `make ${windows.length} windows; at most ${LIMITS.chunksPerCall} fit in a call: send fewer or shorter documents`);
    }
    const vectors = await queue.submit("document", windows.map(({ sequence }) => (worker) => worker.call("embed", sequence)), scope);

    const embedded = windows.map(({ start, end }, i) => ({ start, end, vector: encodeVector(vectors[i]) }));
    let at = 0;
    return { model, documents: windowed.map(({ length }) => ({ windows: embedded.slice(at, (at += length)) })) };
  }
}
