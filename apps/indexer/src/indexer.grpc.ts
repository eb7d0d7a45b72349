import type { Metadata } from "@grpc/grpc-js";
import {
  parseIndexerSearch,
  parseList,
  parseMemoryRef,
  parsePut,
  parseResolveKey,
  type DeleteRequest,
  type DeleteResponse,
  type GetRequest,
  type SearchRequest,
  type SearchResponse,
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
import { GrpcMethod } from "@nestjs/microservices";
import { DeleteMemory } from "./delete-memory.js";
import { decodeCursor, encodeCursor } from "./list-cursor.js";
import { PutMemories } from "./put-memories.js";
import { ReadMemories } from "./read-memories.js";
import { SearchMemories } from "./search-memories.js";

const SERVICE = "IndexerService";

/** Messages in, domain calls, messages out. The tenant comes from the verified assertion alone. What has no handler is UNIMPLEMENTED. */
@Controller()
export class IndexerGrpc {
  constructor(
    private readonly putMemories: PutMemories,
    private readonly searchMemories: SearchMemories,
    private readonly readMemories: ReadMemories,
    private readonly deleteMemory: DeleteMemory,
    private readonly keyLookup: ApiKeyLookup,
  ) {}

  @GrpcMethod(SERVICE, "put")
  @Access("write")
  async put(request: PutRequest, metadata?: Metadata): Promise<PutResponse> {
    return { results: await this.putMemories.put(tenantOf(metadata), parsePut(request)) };
  }

  @GrpcMethod(SERVICE, "search")
  @Access("read")
  search(request: SearchRequest, metadata?: Metadata): Promise<SearchResponse> {
    return this.searchMemories.search(tenantOf(metadata), parseIndexerSearch(request));
  }

  @GrpcMethod(SERVICE, "get")
  @Access("read")
  get(request: GetRequest, metadata?: Metadata): Promise<Memory> {
    return this.readMemories.get(tenantOf(metadata), parseMemoryRef(request).id);
  }

  @GrpcMethod(SERVICE, "list")
  @Access("read")
  async list(request: ListRequest, metadata?: Metadata): Promise<ListResponse> {
    const { limit, cursor } = parseList(request);
    const { memories, next } = await this.readMemories.list(tenantOf(metadata), { limit, before: cursor && decodeCursor(cursor) });
    return { results: memories, nextCursor: next && encodeCursor(next) };
  }

  @GrpcMethod(SERVICE, "delete")
  @Access("write")
  async delete(request: DeleteRequest, metadata?: Metadata): Promise<DeleteResponse> {
    await this.deleteMemory.delete(tenantOf(metadata), parseMemoryRef(request).id);
    return { deleted: 1 };
  }

  @GrpcMethod(SERVICE, "resolveKey")
  @Access("no tenant")
  async resolveKey(request: ResolveKeyRequest): Promise<ResolveKeyResponse> {
    const { keyId, secretHash } = parseResolveKey(request);
    const key = await this.keyLookup.resolve(keyId, secretHash);
    if (key === undefined) throw new NotFoundError("API key");
    return { userHash: key.tenant ?? undefined, namespace: key.namespace, scopes: key.scopes };
  }
}
