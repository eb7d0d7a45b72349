import type { Metadata } from "@grpc/grpc-js";
import {
  IndexerServiceControllerMethods,
  parseDelete,
  parseGet,
  parseIndexerSearch,
  parseList,
  parsePut,
  parseResolveKey,
  type DeleteRequest,
  type DeleteResponse,
  type GetRequest,
  type SearchRequest,
  type SearchResponse,
  type IndexerServiceController,
  type ListRequest,
  type ListResponse,
  type Memory,
  type PutRequest,
  type PutResponse,
  type ResolveKeyRequest,
  type ResolveKeyResponse,
} from "@memseal/contracts/indexer";
import { NotFoundError } from "@memseal/errors";
import { ApiKeyLookup } from "@memseal/storage";
import { Access, tenantOf } from "@memseal/transport";
import { Controller } from "@nestjs/common";
import { DeleteMemory } from "./delete-memory.js";
import { decodeCursor, encodeCursor } from "./list-cursor.js";
import { PutMemories } from "./put-memories.js";
import { ReadMemories } from "./read-memories.js";
import { SearchMemories } from "./search-memories.js";

/** Messages in, domain calls, messages out. The tenant comes from the verified assertion alone. */
@Controller()
@IndexerServiceControllerMethods()
export class IndexerGrpc implements IndexerServiceController {
  constructor(
    private readonly putMemories: PutMemories,
    private readonly searchMemories: SearchMemories,
    private readonly readMemories: ReadMemories,
    private readonly deleteMemory: DeleteMemory,
    private readonly keyLookup: ApiKeyLookup,
  ) {}

  @Access("write")
  async put(request: PutRequest, metadata?: Metadata): Promise<PutResponse> {
    return { results: await this.putMemories.put(tenantOf(metadata), parsePut(request)) };
  }

  @Access("read")
  search(request: SearchRequest, metadata?: Metadata): Promise<SearchResponse> {
    return this.searchMemories.search(tenantOf(metadata), parseIndexerSearch(request));
  }

  @Access("read")
  get(request: GetRequest, metadata?: Metadata): Promise<Memory> {
    return this.readMemories.get(tenantOf(metadata), parseGet(request).id);
  }

  @Access("read")
  async list(request: ListRequest, metadata?: Metadata): Promise<ListResponse> {
    const { limit, cursor } = parseList(request);
    const { memories, next } = await this.readMemories.list(tenantOf(metadata), { limit, before: cursor && decodeCursor(cursor) });
    return { results: memories, nextCursor: next && encodeCursor(next) };
  }

  @Access("write")
  async delete(request: DeleteRequest, metadata?: Metadata): Promise<DeleteResponse> {
    await this.deleteMemory.delete(tenantOf(metadata), parseDelete(request).id);
    return { deleted: 1 };
  }

  @Access("no tenant")
  async resolveKey(request: ResolveKeyRequest): Promise<ResolveKeyResponse> {
    const { keyId, secretHash } = parseResolveKey(request);
    const key = await this.keyLookup.resolve(keyId, secretHash);
    if (key === undefined) throw new NotFoundError("API key");
    return { userHash: key.tenant ?? undefined, namespace: key.namespace, scopes: key.scopes };
  }
}
