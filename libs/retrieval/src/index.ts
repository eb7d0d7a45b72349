export { analyze } from "./analyzer.js";
export { MAX_DIMENSION } from "./dense.js";
export { DimensionMismatchError, NotFilterableError } from "./errors.js";
export { fieldsOf, matches, metadataFieldsOf, type Condition, type FieldPath, type Fields, type Filter, type Scalar } from "./filter.js";
export {
  TenantIndex,
  type Hit,
  type IndexedChunk,
  type IndexedMemory,
  type SearchMode,
  type SearchRequest,
  type SearchResult,
} from "./tenant-index.js";
