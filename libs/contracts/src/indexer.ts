export {
  IndexerServiceControllerMethods,
  IndexerServiceService,
  MEMSEAL_INDEXER_V1_PACKAGE_NAME as INDEXER_PACKAGE,
  type Candidate,
  type Chunk,
  type IndexerServiceController,
  type PutMemory,
  type PutRequest,
  type PutResponse,
  type ResolveKeyRequest,
  type ResolveKeyResponse,
  type SearchRequest,
  type SearchResponse,
} from "./generated/memseal/indexer/v1/indexer.js";
export type {
  AddedMemory,
  DeleteRequest,
  DeleteResponse,
  GetRequest,
  ListRequest,
  ListResponse,
  Memory,
} from "./generated/memseal/v1/memory.js";
export { SealedMetadata } from "./generated/memseal/sealed/v1/metadata.js";
export { parseIndexerSearch, parsePut, parseResolveKey, type ChunkVector, type IndexerSearchQuery, type MemoryToPut, type PutCommand } from "./indexer-to-domain.js";
export { fromTimestamp, toTimestamp } from "./timestamp.js";
export { parseDelete, parseGet, parseList } from "./to-domain.js";
export { encodeVector } from "./vector.js";
