export { addFromJson, listFromQuery, searchFromJson } from "./from-json.js";
export { LIMITS } from "./limits.js";
export { codePointLength } from "./text.js";
export { toTimestamp, fromTimestamp } from "./timestamp.js";
export {
  parseAdd,
  parseDelete,
  parseGet,
  parseList,
  parseSearch,
  type AddMemories,
  type ListQuery,
  type NewMemory,
  type SearchQuery,
} from "./to-domain.js";
export { addResponseToJson, deleteResponseToJson, listResponseToJson, memoryToJson, searchAnswerToJson } from "./to-json.js";
export { toFilterMessage } from "./to-message.js";
export { decodeVector, encodeVector } from "./vector.js";

export {
  MemoryServiceControllerMethods,
  MemoryServiceService,
  MEMSEAL_V1_PACKAGE_NAME as MEMORY_PACKAGE,
  type AddRequest,
  type AddResponse,
  type DeleteRequest,
  type DeleteResponse,
  type GetRequest,
  type ListRequest,
  type ListResponse,
  type Memory,
  type SearchAnswer,
  type SearchRequest,
  type SearchResult,
} from "./generated/memseal/v1/memory.js";
