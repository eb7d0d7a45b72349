/** Every limit on a request, in one table. Characters are Unicode code points. */
export const LIMITS = {
  /** Memories, messages or ids. */
  memoriesPerCall: 200,
  /** Spans that one call may add to the index. */
  chunksPerCall: 200,
  textCharacters: 50_000,
  keyCharacters: 512,
  /** agent_id, run_id, role and source. */
  labelCharacters: 256,
  userIdCharacters: 1_024,
  tags: 32,
  tagCharacters: 128,
  /** Of metadata as JSON in UTF-8: 10 KB. */
  metadataBytes: 10_240,
  /** Of those, what can be filtered by: whole top-level members, the smallest first. 4 KB. */
  filterableBytes: 4_096,
  /** Objects and arrays within each other, the metadata object itself included. */
  jsonDepth: 32,
  queryCharacters: 2_000,
  /** As many as an index takes. */
  vectorDimensions: 4_096,
  topK: 100,
  topKDefault: 10,
  /** A hundred years. */
  halfLifeDays: 36_500,
  rerankDocuments: 1_000,
  filterLeaves: 64,
  /** Filters within each other, the outermost included. */
  filterDepth: 8,
  /** Values of one `in` or `nin`. */
  filterValues: 64,
  filterValueCharacters: 1_024,
  /** Names after `metadata` in a filter's field. */
  metadataPath: 8,
  listPage: 100,
  listPageDefault: 50,
  /** Texts and metadata, as sealed, of the memories of one page; one memory is always on it. */
  listPageBytes: 1_048_576,
  cursorCharacters: 256,
  tokenTtlS: 900,
} as const;
