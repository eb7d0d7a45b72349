import type { Metadata, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import { parseRerank, RerankerControllerMethods, type RerankPart, type RerankRequest, type RerankResponse } from "@memseal/contracts/reranker";
import { Controller, Inject } from "@nestjs/common";
import { Observable } from "rxjs";
import { callScope } from "./call-scope.js";
import { ModelMetrics } from "./model-metrics.js";
import { ModelScores } from "./model-scores.js";

export const SCORES = Symbol("scores");

/** Messages in, work for the cross-encoder, messages out. */
@Controller()
@RerankerControllerMethods()
export class RerankerGrpc {
  constructor(@Inject(SCORES) private readonly scores: ModelScores, private readonly metrics: ModelMetrics) {}

  rerank(request: RerankRequest, _metadata: Metadata, call: ServerUnaryCall<RerankRequest, RerankResponse>): Promise<RerankResponse> {
    return this.metrics.observe("rerank", "batch", async () => {
      const scores = await this.scores.score(parseRerank(request), callScope(call));
      return { model: this.scores.model, logits: scores.map(({ logit }) => logit), tokens: scores.reduce((sum, { tokens }) => sum + tokens, 0) };
    });
  }

  rerankStream(request: RerankRequest, _metadata: Metadata, call: ServerWritableStream<RerankRequest, RerankPart>): Observable<RerankPart> {
    return new Observable((subscriber) => {
      const { model } = this.scores;
      this.metrics.observe("rerank", "batch", async () => {
        await this.scores.score(parseRerank(request), callScope(call), (index, { logit, tokens }) => { subscriber.next({ model, indexes: [index], logits: [logit], tokens }); });
      }).then(() => { subscriber.complete(); }, (error: unknown) => { subscriber.error(error); });
    });
  }
}
