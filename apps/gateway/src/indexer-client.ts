import type { MethodDefinition } from "@grpc/grpc-js";
import { ASSERTION_KEY, type AssertionSigner, type MethodClass } from "@memseal/auth";
import type { AddResponse, DeleteRequest, DeleteResponse, GetRequest, ListRequest, ListResponse, Memory } from "@memseal/contracts";
import {
  IndexerServiceService as methods,
  type PutRequest,
  type ResolveKeyRequest,
  type ResolveKeyResponse,
  type SearchRequest,
  type SearchResponse,
} from "@memseal/contracts/indexer";
import { AppError } from "@memseal/errors";
import { IDEMPOTENCY_KEY, REQUEST_ID_KEY, unary, type TransportSecurity } from "@memseal/transport";
import type { Call, TenantCall } from "./call.js";
import { IndexerPool } from "./indexer-pool.js";

const PEER = "indexer";

/** What changes nothing, and may be asked of another indexer as well. */
const READS: ReadonlySet<unknown> = new Set([methods.search, methods.get, methods.list, methods.history, methods.listAudit, methods.resolveKey]);

/** The indexer as the gateway calls it. Every call but resolveKey says, signed, whose it is. */
export class IndexerClient {
  readonly #indexers: IndexerPool;

  constructor(addresses: readonly string[], private readonly signer: AssertionSigner, security: TransportSecurity) {
    this.#indexers = new IndexerPool(addresses, security);
  }

  put(call: TenantCall, request: PutRequest): Promise<AddResponse> {
    return this.#asTenant(call, "write", methods.put, request);
  }

  search(call: TenantCall, request: SearchRequest): Promise<SearchResponse> {
    return this.#asTenant(call, "read", methods.search, request);
  }

  get(call: TenantCall, request: GetRequest): Promise<Memory> {
    return this.#asTenant(call, "read", methods.get, request);
  }

  list(call: TenantCall, request: ListRequest): Promise<ListResponse> {
    return this.#asTenant(call, "read", methods.list, request);
  }

  delete(call: TenantCall, request: DeleteRequest): Promise<DeleteResponse> {
    return this.#asTenant(call, "write", methods.delete, request);
  }

  /** @throws AppError `not_found` for a key that is unknown, expired or revoked, or has another secret */
  resolveKey(call: Call, request: ResolveKeyRequest): Promise<ResolveKeyResponse> {
    // Any of them knows it.
    return this.#send(call, call.requestId, methods.resolveKey, request, {});
  }

  /** Whether any indexer says that it serves. */
  isServing(): Promise<boolean> {
    return this.#indexers.isServing();
  }

  close(): void {
    this.#indexers.close();
  }

  async #asTenant<Request, Response>(call: TenantCall, access: MethodClass, method: MethodDefinition<Request, Response>, request: Request): Promise<Response> {
    const { tenant, actor, scopes } = call.caller;
    const assertion = await this.signer.sign({ tenant, actor, scopes, method: access });
    try {
      return await this.#send(call, tenant, method, request, { [ASSERTION_KEY]: assertion });
    } catch (error) {
      // The caller is known; it is this gateway's key that the indexer does not know.
      if (error instanceof AppError && error.code === "unauthenticated") throw new AppError("internal", "internal error", { cause: error });
      throw error;
    }
  }

  /** affinity: whose indexer it goes to. */
  #send<Request, Response>({ requestId, deadlineMs, signal }: Call, affinity: string, method: MethodDefinition<Request, Response>, request: Request, metadata: Record<string, string>): Promise<Response> {
    const isRepeatable = READS.has(method) || metadata[IDEMPOTENCY_KEY] !== undefined;
    return this.#indexers.run({ affinity, isRepeatable, deadlineMs, signal }, (channel) =>
      unary(channel, method, request, { peer: PEER, deadlineMs, signal, metadata: { ...metadata, [REQUEST_ID_KEY]: requestId } }));
  }
}
