/** Every limit on a request, in one table. Characters are Unicode code points. */
export const LIMITS = {
  memoriesPerCall: 200,
  /** Spans that one call may add to the index. */
  chunksPerCall: 200,
  textCharacters: 50_000,
  /** agent_id, role and source. */
  labelCharacters: 256,
  userIdCharacters: 1_024,
  tags: 32,
  tagCharacters: 128,
  /** Of metadata as JSON in UTF-8: 10 KB. */
  metadataBytes: 10_240,
  /** Objects and arrays within each other, the metadata object itself included. */
  jsonDepth: 32,
  queryCharacters: 2_000,
  topK: 100,
  topKDefault: 10,
  filterLeaves: 64,
  /** Filters within each other, the outermost included. */
  filterDepth: 8,
  /** Values of one `in`. */
  filterValues: 64,
  listPage: 100,
  listPageDefault: 50,
  cursorCharacters: 256,
} as const;
