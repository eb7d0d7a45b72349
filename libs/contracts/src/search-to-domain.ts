import { InvalidArgumentError } from "@memseal/errors";
import type { Filter, SearchMode } from "@memseal/retrieval";
import { bounded, inRange, optionalLabel, parseUserId, type ClaimedUser } from "./bounds.js";
import { elementPath } from "./field-path.js";
import { parseFilter } from "./filter-to-domain.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { boundedText } from "./text.js";
import { fromTimestamp } from "./timestamp.js";
import { decodeVector } from "./vector.js";

const MODES: readonly string[] = ["hybrid", "lexical", "dense"] satisfies SearchMode[];

/** What narrows or weighs a search beside its filter; both services parse it so. */
export interface SearchScope {
  /** Absent: hybrid. */
  readonly mode?: SearchMode | undefined;
  /** Whether neighbours and the rest of the memory lend part of their scores; absent: true. */
  readonly context?: boolean | undefined;
  /** Least cosine similarity. */
  readonly threshold?: number | undefined;
  /** After so long a memory counts half. */
  readonly halfLifeDays?: number | undefined;
  /** What occurred later is left out. */
  readonly asOf?: Date | undefined;
}

export interface SearchQuery extends ClaimedUser, SearchScope {
  readonly query: string;
  readonly topK: number;
  readonly filter?: Filter | undefined;
  /** The caller's own embedding of the query. */
  readonly vector?: Float32Array | undefined;
  readonly rerank: boolean;
  readonly explain: boolean;
}

/** The caller's own documents, to be put in order. */
export interface DocumentsToRerank {
  readonly query: string;
  readonly documents: readonly string[];
  /** At most as many as there are documents. */
  readonly topN: number;
  /** That must score; undefined: whichever is served. */
  readonly model?: string | undefined;
  readonly returnDocuments: boolean;
  /** Logits rather than scores of 0 to 1. */
  readonly rawScores: boolean;
}

/** @throws InvalidArgumentError with the path of the fault, as all parsers here */
export function parseSearch(message: wire.SearchRequest): SearchQuery {
  return Object.freeze({
    query: parseQuery(message.query),
    topK: inRange(message.topK ?? LIMITS.topKDefault, "top_k", LIMITS.topK),
    filter: message.filters && parseFilter(message.filters, "filters"),
    vector: message.vector && decodeVector(message.vector, "vector"),
    rerank: message.rerank ?? true,
    explain: message.explain,
    ...parseSearchScope(message),
    userId: parseUserId(message.userId),
  });
}

export function parseSearchScope({ mode, context, vector, threshold, decay, asOf }: Pick<wire.SearchRequest, "mode" | "context" | "vector" | "threshold" | "decay" | "asOf">): SearchScope {
  if (mode !== undefined && !isMode(mode)) throw new InvalidArgumentError("mode", `must be one of ${MODES.join(", ")}`);
  if (mode === "lexical" && vector !== undefined) throw new InvalidArgumentError("vector", "must be absent in mode lexical");
  if (mode === "lexical" && threshold !== undefined) throw new InvalidArgumentError("threshold", "must be absent in mode lexical: it is of similarity");
  // Written so that NaN is refused, too.
  if (threshold !== undefined && !(threshold >= -1 && threshold <= 1)) throw new InvalidArgumentError("threshold", "must be from -1 to 1");
  if (decay !== undefined && !(decay.halfLifeDays > 0 && decay.halfLifeDays <= LIMITS.halfLifeDays)) {
    throw new InvalidArgumentError("decay.half_life_days", `must be more than 0 and at most ${LIMITS.halfLifeDays}`);
  }
  return { mode, context, threshold, halfLifeDays: decay?.halfLifeDays, asOf: asOf && fromTimestamp(asOf, "as_of") };
}

function isMode(mode: string): mode is SearchMode {
  return MODES.includes(mode);
}

export function parseRerank({ query, documents, topN, model, returnDocuments, rawScores }: wire.RerankRequest): DocumentsToRerank {
  const checked = bounded(documents, "documents", 1, LIMITS.rerankDocuments);
  return Object.freeze({
    query: parseQuery(query),
    documents: Object.freeze(checked.map((document, i) => boundedText(document, elementPath("documents", i), LIMITS.textCharacters))),
    topN: Math.min(inRange(topN ?? checked.length, "top_n", LIMITS.rerankDocuments), checked.length),
    model: optionalLabel(model, "model"),
    returnDocuments,
    rawScores,
  });
}

function parseQuery(query: string): string {
  if (query !== "" && query.trim() === "") throw new InvalidArgumentError("query", "must not be blank");
  return boundedText(query, "query", LIMITS.queryCharacters);
}
