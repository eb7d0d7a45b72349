/** What of a search is switched on: fields of its request. */
export interface Configuration {
  readonly name: string;
  /** The one that this adds a part to. */
  readonly over?: string;
  readonly search: { readonly mode: "hybrid" | "lexical" | "dense"; readonly context: boolean; readonly rerank: boolean };
}

/** From either part alone to what a search does unless told otherwise. */
export const CONFIGURATIONS: readonly Configuration[] = [
  { name: "bm25", search: { mode: "lexical", context: false, rerank: false } },
  { name: "bm25 + context", over: "bm25", search: { mode: "lexical", context: true, rerank: false } },
  { name: "dense", search: { mode: "dense", context: false, rerank: false } },
  { name: "fused", over: "bm25", search: { mode: "hybrid", context: false, rerank: false } },
  { name: "fused + context", over: "fused", search: { mode: "hybrid", context: true, rerank: false } },
  { name: "fused + context + rerank", over: "fused + context", search: { mode: "hybrid", context: true, rerank: true } },
];
