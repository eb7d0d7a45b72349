import { Metadata, type ServerUnaryCall } from "@grpc/grpc-js";
import {
  parseDelete,
  parseDeleteMany,
  parseErase,
  parseIndexerSearch,
  parseIndexerUpdate,
  parseList,
  parseListAudit,
  parseMemoryRef,
  parsePut,
  parseResolveKey,
  type DeleteManyRequest,
  type DeleteRequest,
  type DeleteResponse,
  type EraseRequest,
  type ErasureReceipt,
  type GetRequest,
  type HistoryRequest,
  type HistoryResponse,
  type ListAuditRequest,
  type ListAuditResponse,
  type ListRequest,
  type ListResponse,
  type Memory,
  type NoteTokenRequest,
  type NoteTokenResponse,
  type PutRequest,
  type PutResponse,
  type ResolveKeyRequest,
  type ResolveKeyResponse,
  type SearchRequest,
  type SearchResponse,
  type UpdateRequest,
} from "@memseal/contracts/indexer";
import { NotFoundError } from "@memseal/errors";
import { ApiKeyLookup, type CallEnd } from "@memseal/storage";
import { Access, callDeadlineMs, callerOf, callSignal, idempotencyKeyOf, REPLAYED_KEY } from "@memseal/transport";
import { Controller } from "@nestjs/common";
import { GrpcMethod } from "@nestjs/microservices";
import type { TenantCall } from "./call.js";
import { DeleteMemories } from "./delete-memories.js";
import { EraseTenant } from "./erase-tenant.js";
import { ErasureReceipts } from "./erasure-receipts.js";
import { ListAudit } from "./list-audit.js";
import { NoteToken } from "./note-token.js";
import { PutMemories } from "./put-memories.js";
import { ReadMemories } from "./read-memories.js";
import { SearchMemories } from "./search-memories.js";
import { UpdateMemory } from "./update-memory.js";
import type { Written } from "./write-path.js";

const SERVICE = "IndexerService";

type GrpcCall = ServerUnaryCall<unknown, unknown>;

/** Messages in, domain calls, messages out. The tenant comes from the verified assertion alone. What has no handler is UNIMPLEMENTED. */
@Controller()
export class IndexerGrpc {
  constructor(
    private readonly putMemories: PutMemories,
    private readonly searchMemories: SearchMemories,
    private readonly readMemories: ReadMemories,
    private readonly updateMemory: UpdateMemory,
    private readonly deleteMemories: DeleteMemories,
    private readonly listAudits: ListAudit,
    private readonly eraseTenant: EraseTenant,
    private readonly receipts: ErasureReceipts,
    private readonly tokens: NoteToken,
    private readonly keyLookup: ApiKeyLookup,
  ) {}

  @GrpcMethod(SERVICE, "put")
  @Access("write")
  async put(request: PutRequest, metadata: Metadata, call: GrpcCall): Promise<PutResponse> {
    return { results: answerOf(await this.putMemories.put(tenantCallOf(metadata, call), parsePut(request)), call) };
  }

  @GrpcMethod(SERVICE, "search")
  @Access("read")
  search(request: SearchRequest, metadata: Metadata, call: GrpcCall): Promise<SearchResponse> {
    return this.searchMemories.search(callerOf(metadata).tenant, parseIndexerSearch(request), callEndOf(call));
  }

  @GrpcMethod(SERVICE, "get")
  @Access("read")
  get(request: GetRequest, metadata: Metadata, call: GrpcCall): Promise<Memory> {
    return this.readMemories.get(callerOf(metadata).tenant, parseMemoryRef(request).id, callEndOf(call));
  }

  @GrpcMethod(SERVICE, "list")
  @Access("read")
  async list(request: ListRequest, metadata: Metadata, call: GrpcCall): Promise<ListResponse> {
    const { memories, nextCursor } = await this.readMemories.list(callerOf(metadata).tenant, parseList(request), callEndOf(call));
    return { results: memories, nextCursor };
  }

  @GrpcMethod(SERVICE, "update")
  @Access("write")
  async update(request: UpdateRequest, metadata: Metadata, call: GrpcCall): Promise<Memory> {
    return answerOf(await this.updateMemory.update(tenantCallOf(metadata, call), parseIndexerUpdate(request)), call);
  }

  @GrpcMethod(SERVICE, "history")
  @Access("read")
  async history(request: HistoryRequest, metadata: Metadata, call: GrpcCall): Promise<HistoryResponse> {
    return { results: await this.readMemories.history(callerOf(metadata).tenant, parseMemoryRef(request).id, callEndOf(call)) };
  }

  @GrpcMethod(SERVICE, "delete")
  @Access("write")
  async delete(request: DeleteRequest, metadata: Metadata, call: GrpcCall): Promise<DeleteResponse> {
    const { id, ifMatch } = parseDelete(request);
    return { deleted: answerOf(await this.deleteMemories.deleteOne(tenantCallOf(metadata, call), id, ifMatch), call) };
  }

  @GrpcMethod(SERVICE, "deleteMany")
  @Access("write")
  async deleteMany(request: DeleteManyRequest, metadata: Metadata, call: GrpcCall): Promise<DeleteResponse> {
    return { deleted: answerOf(await this.deleteMemories.deleteMany(tenantCallOf(metadata, call), parseDeleteMany(request)), call) };
  }

  @GrpcMethod(SERVICE, "listAudit")
  @Access("admin")
  async listAudit(request: ListAuditRequest, metadata: Metadata, call: GrpcCall): Promise<ListAuditResponse> {
    const { events, nextCursor } = await this.listAudits.list(callerOf(metadata).tenant, parseListAudit(request), callEndOf(call));
    return { results: events, nextCursor };
  }

  @GrpcMethod(SERVICE, "erase")
  @Access("admin")
  async erase(request: EraseRequest, metadata: Metadata, call: GrpcCall): Promise<ErasureReceipt> {
    parseErase(request);
    return answerOf(await this.eraseTenant.erase(tenantCallOf(metadata, call)), call);
  }

  @GrpcMethod(SERVICE, "getErasure")
  @Access("admin")
  getErasure(request: GetRequest, metadata: Metadata, call: GrpcCall): Promise<ErasureReceipt> {
    return this.receipts.get(callerOf(metadata).tenant, parseMemoryRef(request).id, callEndOf(call));
  }

  @GrpcMethod(SERVICE, "noteToken")
  @Access("delegate")
  async noteToken(_request: NoteTokenRequest, metadata: Metadata, call: GrpcCall): Promise<NoteTokenResponse> {
    await this.tokens.note(tenantCallOf(metadata, call));
    return {};
  }

  @GrpcMethod(SERVICE, "resolveKey")
  @Access("no tenant")
  async resolveKey(request: ResolveKeyRequest): Promise<ResolveKeyResponse> {
    const { keyId, secretHash } = parseResolveKey(request);
    const key = await this.keyLookup.resolve(keyId, secretHash);
    if (key === undefined) throw new NotFoundError("API key");
    return { userHash: key.tenant ?? undefined, namespace: key.namespace, scopes: [...key.scopes] };
  }
}

function tenantCallOf(metadata: Metadata, call: GrpcCall): TenantCall {
  return { ...callerOf(metadata), ...callEndOf(call), idempotencyKey: idempotencyKeyOf(metadata) };
}

function callEndOf(call: GrpcCall): CallEnd {
  return { deadlineMs: callDeadlineMs(call), signal: callSignal(call) };
}

/** Marks the answer of an earlier request as such. */
function answerOf<Answer>({ answer, isReplayed }: Written<Answer>, call: GrpcCall): Answer {
  if (isReplayed) {
    const metadata = new Metadata();
    metadata.set(REPLAYED_KEY, "true");
    call.sendMetadata(metadata);
  }
  return answer;
}
