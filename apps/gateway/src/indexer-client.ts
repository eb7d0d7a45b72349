import type { Client, Metadata, MethodDefinition } from "@grpc/grpc-js";
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
import { AppError } from "@memseal/errors";
import { connect, IDEMPOTENCY_KEY, REPLAYED_KEY, REQUEST_ID_KEY, unary, type TransportSecurity } from "@memseal/transport";
import { service as health } from "grpc-health-check";
import type { Call, TenantCall } from "./call.js";

const PEER = "indexer";
const HEALTH_TIMEOUT_MS = 1_000;

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
  readonly #channel: Client;

  constructor(address: string, private readonly signer: AssertionSigner, security: TransportSecurity) {
    this.#channel = connect(address, security);
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

  erase(call: TenantCall): Promise<ErasureReceipt> {
    return this.#asTenant(call, "admin", methods.erase, {});
  }

  /** @throws AppError `not_found` for a key that is unknown, expired or revoked, or has another secret */
  resolveKey(call: Call, request: ResolveKeyRequest): Promise<ResolveKeyResponse> {
    return this.#send(call, methods.resolveKey, request);
  }

  /** Whether the indexer says that it serves. */
  async isServing(): Promise<boolean> {
    try {
      const check = health["Check"] as MethodDefinition<{ service: string }, { status: string }>;
      const { status } = await unary(this.#channel, check, { service: "" }, { peer: PEER, deadlineMs: Date.now() + HEALTH_TIMEOUT_MS });
      return status === "SERVING";
    } catch {
      return false;
    }
  }

  close(): void {
    this.#channel.close();
  }

  async #write<Request, Response>(call: TenantCall, method: MethodDefinition<Request, Response>, request: Request): Promise<Written<Response>> {
    let isReplayed = false;
    const answer = await this.#asTenant(call, "write", method, request, {
      metadata: call.idempotencyKey === undefined ? {} : { [IDEMPOTENCY_KEY]: call.idempotencyKey },
      onMetadata: (metadata) => { isReplayed = metadata.get(REPLAYED_KEY).length > 0; },
    });
    return { answer, isReplayed };
  }

  async #asTenant<Request, Response>(call: TenantCall, access: MethodClass, method: MethodDefinition<Request, Response>, request: Request, { metadata = {}, onMetadata }: Sent = {}): Promise<Response> {
    const { tenant, actor, scopes } = call.caller;
    const assertion = await this.signer.sign({ tenant, actor, scopes, method: access });
    try {
      return await this.#send(call, method, request, { metadata: { ...metadata, [ASSERTION_KEY]: assertion }, onMetadata });
    } catch (error) {
      // The caller is known; it is this gateway's key that the indexer does not know.
      if (error instanceof AppError && error.code === "unauthenticated") throw new AppError("internal", "internal error", { cause: error });
      throw error;
    }
  }

  #send<Request, Response>({ requestId, deadlineMs, signal }: Call, method: MethodDefinition<Request, Response>, request: Request, { metadata = {}, onMetadata }: Sent = {}): Promise<Response> {
    return unary(this.#channel, method, request, { peer: PEER, deadlineMs, signal, metadata: { ...metadata, [REQUEST_ID_KEY]: requestId }, onMetadata });
  }
}
