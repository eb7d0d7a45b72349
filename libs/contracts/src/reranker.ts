import { bounded, inRange, optionalLabel } from "./bounds.js";
import { elementPath } from "./field-path.js";
import type * as wire from "./generated/memseal/reranker/v1/reranker.js";
import { LIMITS } from "./limits.js";
import { boundedText } from "./text.js";

export { FILE_DESCRIPTORS } from "./generated/descriptors.js";
export {
  EmbedderControllerMethods,
  EmbedderService,
  MEMSEAL_RERANKER_V1_PACKAGE_NAME as RERANKER_PACKAGE,
  RerankerControllerMethods,
  RerankerService,
  type EmbedDocumentsRequest,
  type EmbedDocumentsResponse,
  type EmbeddedDocument,
  type EmbedderController,
  type EmbedQueryRequest,
  type EmbedQueryResponse,
  type RerankerController,
  type RerankPart,
  type RerankRequest,
  type RerankResponse,
  type Window,
} from "./generated/memseal/reranker/v1/reranker.js";
export { LIMITS } from "./limits.js";
export { decodeVector, encodeVector } from "./vector.js";

export interface DocumentToEmbed {
  readonly text: string;
  readonly speaker?: string | undefined;
}

export interface RerankQuery {
  readonly query: string;
  readonly passages: readonly string[];
  /** That must score; undefined: whichever is served. */
  readonly model?: string | undefined;
  /** How many of the passages, from the first, are enough where there is no time for all; undefined: all. */
  readonly atLeast?: number | undefined;
}

/** Returns the query. @throws InvalidArgumentError with the path of the fault, as all parsers here */
export function parseEmbedQuery({ text }: wire.EmbedQueryRequest): string {
  return boundedText(text, "text", LIMITS.queryCharacters);
}

/** At most 200 documents, as many as memories in a call. */
export function parseEmbedDocuments({ documents }: wire.EmbedDocumentsRequest): readonly DocumentToEmbed[] {
  return bounded(documents, "documents", 0, LIMITS.memoriesPerCall).map(({ text, speaker }, i) => {
    const field = elementPath("documents", i);
    return {
      text: boundedText(text, `${field}.text`, LIMITS.textCharacters),
      speaker: speaker === undefined ? undefined : boundedText(speaker, `${field}.speaker`, LIMITS.labelCharacters),
    };
  });
}

export function parseRerank({ query, passages, model, atLeast }: wire.RerankRequest): RerankQuery {
  return {
    query: boundedText(query, "query", LIMITS.queryCharacters),
    passages: bounded(passages, "passages", 0, LIMITS.rerankDocuments).map((passage, i) => boundedText(passage, elementPath("passages", i), LIMITS.textCharacters)),
    model: optionalLabel(model, "model"),
    atLeast: atLeast === undefined ? undefined : inRange(atLeast, "at_least", LIMITS.rerankDocuments),
  };
}
