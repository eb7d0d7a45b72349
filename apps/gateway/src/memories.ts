import {
  parseAdd,
  parseList,
  parseMemoryRef,
  parseSearch,
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
} from "@memseal/contracts";
import { addMemories, type AddParts } from "./add-memories.js";
import { answerQuery, type QueryParts } from "./answer-query.js";
import { requireOwnUser, type OwnUserParts } from "./authenticate.js";
import type { TenantCall } from "./call.js";
import type { IndexerClient } from "./indexer-client.js";
import { refuseUnservedAdd, refuseUnservedList, refuseUnservedSearch } from "./not-served-yet.js";

export interface MemoriesParts extends AddParts, QueryParts, OwnUserParts {
  indexer: IndexerClient;
}

/** The public calls, once for both transports: parse, check whose it is, act. */
export class Memories {
  constructor(private readonly parts: MemoriesParts) {}

  // async: what a parser throws is a rejection, as every other failure.
  async add(call: TenantCall, request: AddRequest): Promise<AddResponse> {
    const add = parseAdd(request);
    refuseUnservedAdd(request);
    requireOwnUser(call.caller, add.userId, this.parts);
    return addMemories(this.parts, call, add);
  }

  async search(call: TenantCall, request: SearchRequest): Promise<SearchAnswer> {
    const query = parseSearch(request);
    refuseUnservedSearch(request);
    requireOwnUser(call.caller, query.userId, this.parts);
    return answerQuery(this.parts, call, query);
  }

  async get(call: TenantCall, request: GetRequest): Promise<Memory> {
    return this.parts.indexer.get(call, parseMemoryRef(request));
  }

  async list(call: TenantCall, request: ListRequest): Promise<ListResponse> {
    const { limit, cursor, userId } = parseList(request);
    refuseUnservedList(request);
    requireOwnUser(call.caller, userId, this.parts);
    return this.parts.indexer.list(call, { limit, cursor });
  }

  async delete(call: TenantCall, request: DeleteRequest): Promise<DeleteResponse> {
    return this.parts.indexer.delete(call, parseMemoryRef(request));
  }
}
