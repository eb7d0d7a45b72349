import type { Metadata, MethodDefinition } from "@grpc/grpc-js";
import { ASSERTION_KEY, type AssertionSigner, type MethodClass } from "@memseal/auth";
import type {
  AddResponse,
  DeleteManyRequest,
  DeleteRequest,
  DeleteResponse,
  ErasureReceipt,
  GetRequest,
  HistoryRequest,
  HistoryResponse,
  ListAuditRequest,
  ListAuditResponse,
  ListRequest,
  ListResponse,
  Memory,
} from "@memseal/contracts";
import {
  IndexerServiceService as methods,
  type PutRequest,
  type ResolveKeyRequest,
  type ResolveKeyResponse,
  type SearchRequest,
  type SearchResponse,
  type UpdateRequest,
} from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { AppError } from "@memseal/errors";
import { IDEMPOTENCY_KEY, REPLAYED_KEY, REQUEST_ID_KEY, unary, type TransportSecurity } from "@memseal/transport";
import type { Call, DelegateCall, TenantCall } from "./call.js";
import { IndexerPool } from "./indexer-pool.js";

const PEER = "indexer";

/** What changes nothing, and may be asked of another indexer as well. */
const READS: ReadonlySet<unknown> = new Set([methods.search, methods.get, methods.list, methods.history, methods.listAudit, methods.getErasure, methods.resolveKey]);

/** What goes with a request, and who is told what comes ahead of the answer. */
interface Sent {
  metadata?: Record<string, string>;
  onMetadata?: ((metadata: Metadata) => void) | undefined;
}

/** What a write answered. */
export interface Written<Answer> {
  answer: Answer;
  /** Whether it is the answer of an earlier request with the same idempotency key. */
  isReplayed: boolean;
}

/** The indexer as the gateway calls it. Every call but resolveKey says, signed, whose it is. */
export class IndexerClient {
  readonly #indexers: IndexerPool;

  constructor(addresses: readonly string[], private readonly signer: AssertionSigner, security: TransportSecurity) {
    this.#indexers = new IndexerPool(addresses, security);
  }

  put(call: TenantCall, request: PutRequest): Promise<Written<AddResponse>> {
    return this.#write(call, methods.put, request);
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

  update(call: TenantCall, request: UpdateRequest): Promise<Written<Memory>> {
    return this.#write(call, methods.update, request);
  }

  history(call: TenantCall, request: HistoryRequest): Promise<HistoryResponse> {
    return this.#asTenant(call, "read", methods.history, request);
  }

  delete(call: TenantCall, request: DeleteRequest): Promise<Written<DeleteResponse>> {
    return this.#write(call, methods.delete, request);
  }

  deleteMany(call: TenantCall, request: DeleteManyRequest): Promise<Written<DeleteResponse>> {
    return this.#write(call, methods.deleteMany, request);
  }

  listAudit(call: TenantCall, request: ListAuditRequest): Promise<ListAuditResponse> {
    return this.#asTenant(call, "admin", methods.listAudit, request);
  }

  /** The call's idempotency key is to be one that says nothing: it is kept beside nothing of the user's. */
  erase(call: TenantCall): Promise<Written<ErasureReceipt>> {
    return this.#write(call, methods.erase, {}, "admin");
  }

  getErasure(call: TenantCall, request: GetRequest): Promise<ErasureReceipt> {
    return this.#asTenant(call, "admin", methods.getErasure, request);
  }

  /** Writes into a user's audit trail that a delegate key is given a token of it. */
  async noteToken({ delegate, ...call }: DelegateCall, tenant: UserHash): Promise<void> {
    await this.#asTenant({ ...call, caller: { ...delegate, tenant } }, "delegate", methods.noteToken, {});
  }

  /** @throws AppError `not_found` for a key that is unknown, expired or revoked, or has another secret */
  resolveKey(call: Call, request: ResolveKeyRequest): Promise<ResolveKeyResponse> {
    // Any of them knows it.
    return this.#send(call, call.requestId, methods.resolveKey, request);
  }

  /** Whether any indexer says that it serves. */
  isServing(): Promise<boolean> {
    return this.#indexers.isServing();
  }

  close(): void {
    this.#indexers.close();
  }

  async #write<Request, Response>(call: TenantCall, method: MethodDefinition<Request, Response>, request: Request, access: MethodClass = "write"): Promise<Written<Response>> {
    let isReplayed = false;
    const answer = await this.#asTenant(call, access, method, request, {
      metadata: call.idempotencyKey === undefined ? {} : { [IDEMPOTENCY_KEY]: call.idempotencyKey },
      onMetadata: (metadata) => { isReplayed = metadata.get(REPLAYED_KEY).length > 0; },
    });
    return { answer, isReplayed };
  }

  async #asTenant<Request, Response>(call: TenantCall, access: MethodClass, method: MethodDefinition<Request, Response>, request: Request, { metadata = {}, onMetadata }: Sent = {}): Promise<Response> {
    const { tenant, actor, scopes } = call.caller;
    const assertion = await this.signer.sign({ tenant, actor, scopes, method: access });
    try {
      return await this.#send(call, tenant, method, request, { metadata: { ...metadata, [ASSERTION_KEY]: assertion }, onMetadata });
    } catch (error) {
      // The caller is known; it is this gateway's key that the indexer does not know.
      if (error instanceof AppError && error.code === "unauthenticated") throw new AppError("internal", "internal error", { cause: error });
      throw error;
    }
  }

  /** affinity: whose indexer it goes to. */
  #send<Request, Response>({ requestId, deadlineMs, signal }: Call, affinity: string, method: MethodDefinition<Request, Response>, request: Request, { metadata = {}, onMetadata }: Sent = {}): Promise<Response> {
    const isRepeatable = READS.has(method) || metadata[IDEMPOTENCY_KEY] !== undefined;
    return this.#indexers.run({ affinity, isRepeatable, deadlineMs, signal }, (channel) =>
      unary(channel, method, request, { peer: PEER, deadlineMs, signal, metadata: { ...metadata, [REQUEST_ID_KEY]: requestId }, onMetadata }));
  }
}
