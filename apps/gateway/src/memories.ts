import {
  parseAdd,
  parseDelete,
  parseDeleteMany,
  parseErase,
  parseList,
  parseListAudit,
  parseMemoryRef,
  parseRerank,
  parseSearch,
  parseUpdate,
  type AddRequest,
  type AddResponse,
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
  type RerankEvent,
  type RerankRequest,
  type RerankResponse,
  type SearchAnswer,
  type SearchEvent,
  type SearchRequest,
  type UpdateRequest,
} from "@memseal/contracts";
import { erasureName } from "@memseal/crypto";
import { addMemories, type AddParts } from "./add-memories.js";
import { answerQuery, type QueryParts } from "./answer-query.js";
import { requireOwnUser, type OwnUserParts } from "./authenticate.js";
import type { TenantCall } from "./call.js";
import type { Flags } from "./flags.js";
import type { IndexerClient, Written } from "./indexer-client.js";
import { rerankDocuments, streamRerank, type RerankParts } from "./rerank-documents.js";
import type { RerankerClient } from "./reranker-client.js";
import { streamQuery } from "./stream-query.js";
import { updateMemory } from "./update-memory.js";

export interface MemoriesParts extends AddParts, QueryParts, OwnUserParts, RerankParts {
  flags: Flags;
  indexer: IndexerClient;
  reranker: RerankerClient;
}

/** The public calls, once for both transports: is it switched on, parse, check whose it is, act. */
export class Memories {
  constructor(private readonly parts: MemoriesParts) {}

  // async: what a parser throws is a rejection, as every other failure.
  async add(call: TenantCall, request: AddRequest): Promise<Written<AddResponse>> {
    this.parts.flags.require("writes");
    const add = parseAdd(request);
    requireOwnUser(call.caller, add.userId, this.parts);
    return addMemories(this.parts, call, add);
  }

  async search(call: TenantCall, request: SearchRequest): Promise<SearchAnswer> {
    this.parts.flags.require("search");
    const query = parseSearch(request);
    requireOwnUser(call.caller, query.userId, this.parts);
    return answerQuery(this.parts, call, query);
  }

  async *searchStream(call: TenantCall, request: SearchRequest): AsyncGenerator<SearchEvent> {
    this.parts.flags.require("search");
    const query = parseSearch(request);
    requireOwnUser(call.caller, query.userId, this.parts);
    yield* streamQuery(this.parts, call, query);
  }

  async rerank(call: TenantCall, request: RerankRequest): Promise<RerankResponse> {
    this.parts.flags.require("rerank");
    return rerankDocuments(this.parts, call, parseRerank(request));
  }

  async *rerankStream(call: TenantCall, request: RerankRequest): AsyncGenerator<RerankEvent> {
    this.parts.flags.require("rerank");
    yield* streamRerank(this.parts, call, parseRerank(request));
  }

  async get(call: TenantCall, request: GetRequest): Promise<Memory> {
    return this.parts.indexer.get(call, parseMemoryRef(request));
  }

  async list(call: TenantCall, request: ListRequest): Promise<ListResponse> {
    const { limit, cursor, userId } = parseList(request);
    requireOwnUser(call.caller, userId, this.parts);
    return this.parts.indexer.list(call, { limit, cursor, filters: request.filters });
  }

  async update(call: TenantCall, request: UpdateRequest): Promise<Written<Memory>> {
    this.parts.flags.require("writes");
    const update = parseUpdate(request);
    requireOwnUser(call.caller, update.userId, this.parts);
    return updateMemory(this.parts, call, request, update);
  }

  async history(call: TenantCall, request: HistoryRequest): Promise<HistoryResponse> {
    return this.parts.indexer.history(call, parseMemoryRef(request));
  }

  async delete(call: TenantCall, request: DeleteRequest): Promise<Written<DeleteResponse>> {
    this.parts.flags.require("writes");
    return this.parts.indexer.delete(call, parseDelete(request));
  }

  async deleteMany(call: TenantCall, request: DeleteManyRequest): Promise<Written<DeleteResponse>> {
    this.parts.flags.require("writes");
    const { userId } = parseDeleteMany(request);
    requireOwnUser(call.caller, userId, this.parts);
    return this.parts.indexer.deleteMany(call, { ...request, userId: undefined });
  }

  async listAudit(call: TenantCall, request: ListAuditRequest): Promise<ListAuditResponse> {
    return this.parts.indexer.listAudit(call, parseListAudit(request));
  }

  async erase(call: TenantCall, request: EraseRequest): Promise<Written<ErasureReceipt>> {
    this.parts.flags.require("writes");
    const { userId } = parseErase(request);
    requireOwnUser(call.caller, userId, this.parts);
    const { caller, idempotencyKey } = call;
    return this.parts.indexer.erase({ ...call, idempotencyKey: idempotencyKey && erasureName(this.parts.tenantSecret, caller.tenant, idempotencyKey) });
  }

  async getErasure(call: TenantCall, request: GetRequest): Promise<ErasureReceipt> {
    const { id } = parseMemoryRef(request);
    return this.parts.indexer.getErasure(call, { id });
  }
}
