import type { Client } from "@grpc/grpc-js";
import { LIMITS } from "@memseal/contracts";
import {
  EmbedderService,
  RerankerService,
  type EmbedDocumentsRequest,
  type EmbedDocumentsResponse,
  type EmbedQueryResponse,
  type RerankPart,
  type RerankRequest,
  type RerankResponse,
} from "@memseal/contracts/reranker";
import { AppError, InvalidArgumentError, UnavailableError } from "@memseal/errors";
import { CALLER_KEY, connect, REQUEST_ID_KEY, serverStream, unary, type CallContext, type TransportSecurity } from "@memseal/transport";
import type { TenantCall } from "./call.js";
import { CallerLabels } from "./caller-labels.js";

/** The two services that run models. They see texts, and a label under which a user's calls take turns; no ids, no tenants. */
export class RerankerClient {
  readonly #embedder: Client;
  readonly #reranker: Client;
  readonly #labels = new CallerLabels();

  constructor({ embedderAddress, rerankerAddress, security }: { embedderAddress: string; rerankerAddress: string; security: TransportSecurity }) {
    this.#embedder = connect(embedderAddress, security, { isSpread: true });
    this.#reranker = connect(rerankerAddress, security, { isSpread: true });
  }

  embedQuery(call: TenantCall, text: string): Promise<EmbedQueryResponse> {
    return unary(this.#embedder, EmbedderService.embedQuery, { text }, this.#context("embedder", call));
  }

  /**
   * Windows of each document, in its order. field: where the caller sent them.
   * @throws UnavailableError without an embedder; InvalidArgumentError when they make more chunks than fit in a call
   */
  async embedDocuments(call: TenantCall, request: EmbedDocumentsRequest, field: string): Promise<EmbedDocumentsResponse> {
    try {
      return await unary(this.#embedder, EmbedderService.embedDocuments, request, this.#context("embedder", call));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      switch (error.code) {
        case "invalid_argument":
          throw tooManyChunks(field);
        case "unavailable":
          throw new UnavailableError("the embedder cannot be reached and nothing was stored; try again, or send a vector with each memory", { cause: error });
        default:
          throw error;
      }
    }
  }

  /** One finite logit a passage, in their order; with atLeast, of the first so many or more. */
  async rerank(call: TenantCall, request: RerankRequest): Promise<RerankResponse> {
    const scored = await unary(this.#reranker, RerankerService.rerank, request, this.#context("reranker", call));
    const { passages, atLeast = passages.length } = request;
    if (scored.logits.length < Math.min(atLeast, passages.length) || scored.logits.length > passages.length) throw notEachScored();
    assertFinite(scored.logits);
    return scored;
  }

  /** Finite logits as they are known: of each passage one. */
  async *rerankStream(call: TenantCall, request: RerankRequest): AsyncGenerator<RerankPart, void, undefined> {
    const missing = new Set(request.passages.keys());
    for await (const part of serverStream(this.#reranker, RerankerService.rerankStream, request, this.#context("reranker", call))) {
      assertFinite(part.logits);
      if (part.logits.length !== part.indexes.length || !part.indexes.every((index) => missing.delete(index))) throw notEachScored();
      yield part;
    }
    if (missing.size > 0) throw notEachScored();
  }

  close(): void {
    this.#embedder.close();
    this.#reranker.close();
  }

  #context(peer: string, { requestId, deadlineMs, signal, caller }: TenantCall): CallContext {
    return { peer, deadlineMs, signal, metadata: { [REQUEST_ID_KEY]: requestId, [CALLER_KEY]: this.#labels.labelOf(caller.tenant) } };
  }
}

/** @throws AppError for NaN and infinities, which would be in no order */
function assertFinite(logits: readonly number[]): void {
  if (!logits.every(Number.isFinite)) throw new AppError("internal", "the reranker gave a score that is no number");
}

function notEachScored(): AppError {
  return new AppError("internal", "the reranker did not score every passage once");
}

/** A call whose texts make more chunks than one call may add. */
export function tooManyChunks(field: string): InvalidArgumentError {
  return new InvalidArgumentError(field, `more than ${LIMITS.chunksPerCall} chunks in one call: split it over several, or shorten it`);
}
