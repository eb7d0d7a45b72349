import type { Metadata, ServerUnaryCall } from "@grpc/grpc-js";
import { parseRerank, RerankerControllerMethods, type RerankRequest, type RerankResponse } from "@memseal/contracts/reranker";
import { Controller, Inject } from "@nestjs/common";
import { callScope } from "./call-scope.js";
import { ModelPool } from "./model-pool.js";

export const RERANK_POOL = Symbol("rerank pool");

/** Messages in, work for the cross-encoder, messages out. */
@Controller()
@RerankerControllerMethods()
export class RerankerGrpc {
  constructor(@Inject(RERANK_POOL) private readonly pool: ModelPool<"rerank">) {}

  async rerank(request: RerankRequest, _metadata: Metadata, call: ServerUnaryCall<RerankRequest, RerankResponse>): Promise<RerankResponse> {
    const { query, passages } = parseRerank(request);
    const logits = await this.pool.queue.submit("pair", passages.map((passage) => (worker) => worker.call("score", query, passage)), callScope(call));
    return { model: this.pool.model, logits };
  }
}
