import { BinaryReader } from "@bufbuild/protobuf/wire";
import { Metadata, type ServiceDefinition } from "@grpc/grpc-js";
import {
  MemoryServiceService,
  type AddRequest,
  type CreateTokenRequest,
  type DeleteManyRequest,
  type DeleteRequest,
  type EraseRequest,
  type GetRequest,
  type HistoryRequest,
  type ListAuditRequest,
  type ListRequest,
  type RerankRequest,
  type SearchRequest,
  type UpdateRequest,
} from "@memseal/contracts";
import { InvalidArgumentError, toAppError } from "@memseal/errors";
import type { Code } from "@memseal/telemetry";
import { REPLAYED_KEY, REQUEST_ID_KEY, requestIdFrom } from "@memseal/transport";
import { Controller } from "@nestjs/common";
import { GrpcMethod } from "@nestjs/microservices";
import { Observable } from "rxjs";
import type { Access } from "./admission.js";
import type { TenantCall } from "./call.js";
import { CreateToken } from "./create-token.js";
import { GrpcAdmission, type StreamingCall, type UnaryCall } from "./grpc-admission.js";
import { GatewayMetrics, type Method, type StreamMethod } from "./gateway-metrics.js";
import type { Written } from "./indexer-client.js";
import { Memories } from "./memories.js";
import { decodeUtf8 } from "./strict-utf8.js";
import { tellingFirst } from "./telling-first.js";

const SERVICE = "MemoryService";

/** Messages in, encoded messages out. */
@Controller()
export class MemoriesGrpc {
  constructor(
    private readonly admission: GrpcAdmission,
    private readonly memories: Memories,
    private readonly tokens: CreateToken,
    private readonly metrics: GatewayMetrics,
  ) {}

  @GrpcMethod(SERVICE, "add")
  add(request: AddRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#answer("add", "write", metadata, call, async (admitted, headers) => answerOf(await this.memories.add(admitted, decoded(request)), headers));
  }

  @GrpcMethod(SERVICE, "search")
  search(request: SearchRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#answer("search", "read", metadata, call, (admitted) => this.memories.search(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "searchStream")
  searchStream(request: SearchRequest, metadata: Metadata, call: StreamingCall): Observable<never> {
    return this.#stream("search_stream", "read", metadata, call, (admitted) => this.memories.searchStream(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "rerank")
  rerank(request: RerankRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#answer("rerank", "rerank", metadata, call, (admitted) => this.memories.rerank(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "rerankStream")
  rerankStream(request: RerankRequest, metadata: Metadata, call: StreamingCall): Observable<never> {
    return this.#stream("rerank_stream", "rerank", metadata, call, (admitted) => this.memories.rerankStream(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "get")
  get(request: GetRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#answer("get", "read", metadata, call, (admitted) => this.memories.get(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "list")
  list(request: ListRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#answer("list", "read", metadata, call, (admitted) => this.memories.list(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "update")
  update(request: UpdateRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#answer("update", "write", metadata, call, async (admitted, headers) => answerOf(await this.memories.update(admitted, decoded(request)), headers));
  }

  @GrpcMethod(SERVICE, "history")
  history(request: HistoryRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#answer("history", "read", metadata, call, (admitted) => this.memories.history(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "delete")
  delete(request: DeleteRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#answer("delete", "write", metadata, call, async (admitted, headers) => answerOf(await this.memories.delete(admitted, decoded(request)), headers));
  }

  @GrpcMethod(SERVICE, "deleteMany")
  deleteMany(request: DeleteManyRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#answer("delete_many", "write", metadata, call, async (admitted, headers) => answerOf(await this.memories.deleteMany(admitted, decoded(request)), headers));
  }

  @GrpcMethod(SERVICE, "listAudit")
  listAudit(request: ListAuditRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#answer("list_audit", "admin", metadata, call, (admitted) => this.memories.listAudit(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "erase")
  erase(request: EraseRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#answer("erase", "admin", metadata, call, async (admitted, headers) => answerOf(await this.memories.erase(admitted, decoded(request)), headers));
  }

  @GrpcMethod(SERVICE, "getErasure")
  getErasure(request: GetRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#answer("get_erasure", "admin", metadata, call, (admitted) => this.memories.getErasure(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "createToken")
  createToken(request: CreateTokenRequest, metadata: Metadata, call: UnaryCall): Promise<Buffer> {
    return this.#tell("create_token", metadata, call, () => this.admission.exchange(metadata, call, (admitted) => this.tokens.create(admitted, decoded(request))));
  }

  #answer<T>(method: Method, access: Access, metadata: Metadata, call: UnaryCall, work: (call: TenantCall, headers: Metadata) => Promise<T>): Promise<Buffer> {
    return this.#tell(method, metadata, call, (headers) => this.admission.admit(access, metadata, call, (admitted) => work(admitted, headers)));
  }

  /** headers: what goes out ahead of the answer, whether it is one or a failure. */
  async #tell(method: Method, metadata: Metadata, call: UnaryCall, work: (headers: Metadata) => Promise<Buffer>): Promise<Buffer> {
    const headers = headersOf(metadata);
    try {
      return await this.#observe(method, metadata, () => work(headers));
    } finally {
      call.sendMetadata(headers);
    }
  }

  #stream<Event>(method: StreamMethod, access: Access, metadata: Metadata, call: StreamingCall, events: (call: TenantCall) => AsyncIterable<Event>): Observable<never> {
    return new Observable((subscriber) => {
      const startedAt = performance.now();
      call.sendMetadata(headersOf(metadata));
      const onFirst = () => { this.metrics.firstValue({ transport: "grpc", method, durationMs: performance.now() - startedAt }); };
      this.#observe(method, metadata, () => this.admission.stream(access, metadata, call, (admitted) => tellingFirst(events(admitted), onFirst)))
        .then(() => { subscriber.complete(); }, (error: unknown) => { subscriber.error(error); });
    });
  }

  async #observe<T>(method: Method, metadata: Metadata, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const requestId = metadata.get(REQUEST_ID_KEY)[0]?.toString() ?? "";
    let code: Code = "ok";
    try {
      return await work();
    } catch (error) {
      code = toAppError(error).code;
      throw error;
    } finally {
      this.metrics.answered({ transport: "grpc", method, code, requestId, durationMs: performance.now() - startedAt });
    }
  }
}

/** Metadata of the answer. The id is left in that of the call, too, where the error filter reads it. */
function headersOf(metadata: Metadata): Metadata {
  const requestId = requestIdFrom(metadata.get(REQUEST_ID_KEY)[0]);
  metadata.set(REQUEST_ID_KEY, requestId);
  const headers = new Metadata();
  headers.set(REQUEST_ID_KEY, requestId);
  return headers;
}

/** Marks the answer of an earlier request as such. */
function answerOf<Answer>({ answer, isReplayed }: Written<Answer>, headers: Metadata): Answer {
  if (isReplayed) headers.set(REPLAYED_KEY, "true");
  return answer;
}

const UNDECODABLE = Object.freeze({});

/**
 * The service as generated, except that bytes which are no message reach their handler: grpc-js would answer INTERNAL. A text that
 * is not UTF-8 makes no message, as proto3 has it; the generated code would store each wrong byte as U+FFFD. Answers come encoded.
 */
export const memoryService: ServiceDefinition = Object.fromEntries(
  Object.entries(MemoryServiceService).map(([name, method]) => [
    name,
    {
      ...method,
      requestDeserialize: (bytes: Buffer): unknown => {
        try {
          // What it is typed as is less than it takes: a reader is used as it is.
          return method.requestDeserialize(new BinaryReader(bytes, decodeUtf8) as unknown as Buffer);
        } catch {
          return UNDECODABLE;
        }
      },
      responseSerialize: (bytes: Buffer): Buffer => bytes,
    },
  ]),
);

function decoded<T>(request: T): T {
  if (request === UNDECODABLE) throw new InvalidArgumentError("request", "is not a message of this call, or is nested too deep");
  return request;
}
