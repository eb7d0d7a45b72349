export { analyze } from "./analyzer.js";
export { DimensionMismatchError } from "./errors.js";
export { matches, type Attributes, type Condition, type Filter } from "./filter.js";
export {
  TenantIndex,
  type Hit,
  type IndexedChunk,
  type IndexedMemory,
  type SearchRequest,
  type SearchResult,
} from "./tenant-index.js";
