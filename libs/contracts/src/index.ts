export { parseCreateToken, parseErase, parseListAudit, type TokenRequest, type TokenScope } from "./admin-to-domain.js";
export {
  addFromJson,
  createTokenFromJson,
  deleteFromPath,
  deleteManyFromJson,
  eraseFromJson,
  listAuditFromQuery,
  listFromJson,
  listFromQuery,
  rerankFromJson,
  searchFromJson,
  updateFromJson,
} from "./from-json.js";
export { FILE_DESCRIPTORS } from "./generated/descriptors.js";
export { LIMITS } from "./limits.js";
export { speakerOf } from "./speaker.js";
export { codePointLength } from "./text.js";
export { toTimestamp, fromTimestamp } from "./timestamp.js";
export { parseAdd, type AddMemories, type NewMemory } from "./memory-to-domain.js";
export { parseRerank, parseSearch, type DocumentsToRerank, type SearchQuery } from "./search-to-domain.js";
export { parseDelete, parseDeleteMany, parseList, parseMemoryRef, type DeleteMany, type DeleteOne, type ListQuery, type MemoryRef, type Page, type Selection } from "./selection-to-domain.js";
export {
  addResponseToJson,
  createTokenResponseToJson,
  deleteResponseToJson,
  erasureReceiptToJson,
  historyResponseToJson,
  listAuditResponseToJson,
  listResponseToJson,
  memoryToJson,
  rerankResponseToJson,
  searchAnswerToJson,
  searchEventToJson,
} from "./to-json.js";
export { parseUpdate, type MemoryChanges, type MemoryUpdate } from "./update-to-domain.js";
export { toFilterMessage } from "./to-message.js";
export { decodeVector, encodeVector } from "./vector.js";

export {
  MemoryServiceService,
  MEMSEAL_V1_PACKAGE_NAME as MEMORY_PACKAGE,
  type AddRequest,
  type AddResponse,
  type CreateTokenRequest,
  type CreateTokenResponse,
  type DeleteManyRequest,
  type DeleteRequest,
  type DeleteResponse,
  type EraseRequest,
  type ErasureReceipt,
  type Filter as FilterMessage,
  type GetRequest,
  type HistoryRequest,
  type HistoryResponse,
  type LatencyMs,
  type ListAuditRequest,
  type ListAuditResponse,
  type ListRequest,
  type ListResponse,
  type Memory,
  type NewMemory as NewMemoryMessage,
  type Reranked,
  type RerankedDocument,
  type RerankEvent,
  type RerankRequest,
  type RerankResponse,
  type SearchAnswer,
  type SearchEvent,
  type SearchRequest,
  type SearchResult,
  type UpdateRequest,
} from "./generated/memseal/v1/memory.js";
