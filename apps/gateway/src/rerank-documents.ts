import type { DocumentsToRerank, RerankedDocument, RerankEvent, RerankResponse } from "@memseal/contracts";
import type { Call, TenantCall } from "./call.js";
import type { RerankerClient } from "./reranker-client.js";

export interface RerankParts {
  reranker: Pick<RerankerClient, "rerank" | "rerankStream">;
}

/** The caller's own documents in order of relevance. Nothing of them is kept. @throws AppError where they cannot be scored: there is no other answer */
export async function rerankDocuments({ reranker }: RerankParts, call: TenantCall, asked: DocumentsToRerank): Promise<RerankResponse> {
  const { model, logits, tokens } = await reranker.rerank(call, requestOf(asked));
  return toResponse(call, asked, { model, logits, tokens });
}

/** The same, each score as soon as it is known, and the order at the end. */
export async function* streamRerank({ reranker }: RerankParts, call: TenantCall, asked: DocumentsToRerank): AsyncGenerator<RerankEvent, void, undefined> {
  const logits = new Array<number>(asked.documents.length);
  let model = "";
  let tokens = 0;
  for await (const part of reranker.rerankStream(call, requestOf(asked))) {
    for (const [i, index] of part.indexes.entries()) logits[index] = part.logits[i];
    model = part.model;
    tokens += part.tokens;
    yield { event: { $case: "scored", value: { documents: part.indexes.map((index) => toDocument(asked, logits, index)) } } };
  }
  yield { event: { $case: "done", value: toResponse(call, asked, { model, logits, tokens }) } };
}

function requestOf({ query, documents, model }: DocumentsToRerank): Parameters<RerankerClient["rerank"]>[1] {
  return { query, passages: [...documents], model };
}

interface Scored {
  readonly model: string;
  /** Of each document. */
  readonly logits: readonly number[];
  readonly tokens: number;
}

function toResponse({ requestId }: Call, asked: DocumentsToRerank, { model, logits, tokens }: Scored): RerankResponse {
  // By logit: scores of 0 to 1 are equal where logits are far from 0. A stable sort leaves equals as they were sent.
  const order = [...logits.keys()].sort((a, b) => logits[b] - logits[a]);
  return {
    id: requestId,
    model,
    results: order.slice(0, asked.topN).map((index) => toDocument(asked, logits, index)),
    usage: { promptTokens: tokens, completionTokens: 0, totalTokens: tokens },
  };
}

function toDocument({ documents, returnDocuments, rawScores }: DocumentsToRerank, logits: readonly number[], index: number): RerankedDocument {
  return {
    index,
    relevanceScore: rawScores ? logits[index] : 1 / (1 + Math.exp(-logits[index])),
    document: returnDocuments ? { text: documents[index] } : undefined,
  };
}
