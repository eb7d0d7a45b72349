export { FILE_DESCRIPTORS } from "./generated/descriptors.js";
export {
  IndexerServiceService,
  MEMSEAL_INDEXER_V1_PACKAGE_NAME as INDEXER_PACKAGE,
  type Candidate,
  type Chunk,
  type NoteTokenRequest,
  type NoteTokenResponse,
  type PutMemory,
  PutResponse,
  type PutRequest,
  type ResolveKeyRequest,
  type ResolveKeyResponse,
  type SearchRequest,
  type SearchResponse,
  type UpdateRequest,
} from "./generated/memseal/indexer/v1/indexer.js";
export { DeleteResponse, ErasureReceipt } from "./generated/memseal/v1/memory.js";
export type {
  AddedMemory,
  AuditEvent,
  DeleteManyRequest,
  DeleteRequest,
  EraseRequest,
  GetRequest,
  HistoryRequest,
  HistoryResponse,
  ListAuditRequest,
  ListAuditResponse,
  ListRequest,
  ListResponse,
  Memory,
  MemoryVersion,
} from "./generated/memseal/v1/memory.js";
export { SealedMetadata } from "./generated/memseal/sealed/v1/metadata.js";
export {
  parseIndexerSearch,
  parseIndexerUpdate,
  parsePut,
  parseResolveKey,
  type ChunkVector,
  type IndexerSearchQuery,
  type MemoryToPut,
  type PutCommand,
  type UpdateCommand,
} from "./indexer-to-domain.js";
export type { MemoryChanges } from "./update-to-domain.js";
export { parseErase, parseListAudit } from "./admin-to-domain.js";
export { filterableMetadata } from "./metadata.js";
export { parseDelete, parseDeleteMany, parseList, parseMemoryRef, type DeleteMany, type DeleteOne, type ListQuery, type Page, type Selection } from "./selection-to-domain.js";
export { speakerOf } from "./speaker.js";
export { fromTimestamp, toTimestamp } from "./timestamp.js";
export { encodeVector } from "./vector.js";
