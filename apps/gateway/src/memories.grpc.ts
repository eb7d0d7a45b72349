import { Metadata, type ServerUnaryCall, type ServiceDefinition } from "@grpc/grpc-js";
import type { Scope } from "@memseal/auth";
import {
  MemoryServiceService,
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
import { InvalidArgumentError, toAppError } from "@memseal/errors";
import { TIMEOUT_KEY } from "@memseal/resilience";
import type { Code } from "@memseal/telemetry";
import { callDeadlineMs, callSignal, REQUEST_ID_KEY, requestIdFrom } from "@memseal/transport";
import { Controller } from "@nestjs/common";
import { GrpcMethod } from "@nestjs/microservices";
import { Admission } from "./admission.js";
import type { TenantCall } from "./call.js";
import { GatewayMetrics, type Method } from "./gateway-metrics.js";
import { Memories } from "./memories.js";
import { refuseUnservedHeaders } from "./not-served-yet.js";

type UnaryCall = ServerUnaryCall<unknown, unknown>;

const SERVICE = "MemoryService";

/** Messages in, messages out. What has no handler is UNIMPLEMENTED. */
@Controller()
export class MemoriesGrpc {
  constructor(
    private readonly admission: Admission,
    private readonly memories: Memories,
    private readonly metrics: GatewayMetrics,
  ) {}

  @GrpcMethod(SERVICE, "add")
  add(request: AddRequest, metadata: Metadata, call: UnaryCall): Promise<AddResponse> {
    return this.#admit("add", "write", metadata, call, (admitted) => this.memories.add(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "search")
  search(request: SearchRequest, metadata: Metadata, call: UnaryCall): Promise<SearchAnswer> {
    return this.#admit("search", "read", metadata, call, (admitted) => this.memories.search(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "get")
  get(request: GetRequest, metadata: Metadata, call: UnaryCall): Promise<Memory> {
    return this.#admit("get", "read", metadata, call, (admitted) => this.memories.get(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "list")
  list(request: ListRequest, metadata: Metadata, call: UnaryCall): Promise<ListResponse> {
    return this.#admit("list", "read", metadata, call, (admitted) => this.memories.list(admitted, decoded(request)));
  }

  @GrpcMethod(SERVICE, "delete")
  delete(request: DeleteRequest, metadata: Metadata, call: UnaryCall): Promise<DeleteResponse> {
    return this.#admit("delete", "write", metadata, call, (admitted) => this.memories.delete(admitted, decoded(request)));
  }

  async #admit<T>(method: Method, scope: Scope, metadata: Metadata, call: UnaryCall, work: (call: TenantCall) => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const requestId = requestIdFrom(metadata.get(REQUEST_ID_KEY)[0]);
    // For the error filter, which reads it there, and for the caller, whether the call fails or not.
    metadata.set(REQUEST_ID_KEY, requestId);
    const headers = new Metadata();
    headers.set(REQUEST_ID_KEY, requestId);
    call.sendMetadata(headers);
    let code: Code = "ok";
    try {
      return await this.admission.admit(
        {
          requestId,
          authorization: text(metadata, "authorization"),
          timeout: text(metadata, TIMEOUT_KEY),
          deadlineMs: callDeadlineMs(call),
          signal: callSignal(call),
        },
        scope,
        (admitted) => {
          refuseUnservedHeaders((name) => metadata.get(name)[0]);
          return work(admitted);
        },
      );
    } catch (error) {
      code = toAppError(error).code;
      throw error;
    } finally {
      this.metrics.answered({ transport: "grpc", method, code, requestId, durationMs: performance.now() - startedAt });
    }
  }
}

const UNDECODABLE = Object.freeze({});

/** The service as generated, except that bytes which are no message reach their handler: grpc-js would answer INTERNAL. */
export const memoryService: ServiceDefinition = Object.fromEntries(
  Object.entries(MemoryServiceService).map(([name, method]) => [
    name,
    {
      ...method,
      requestDeserialize: (bytes: Buffer): unknown => {
        try {
          return method.requestDeserialize(bytes);
        } catch {
          return UNDECODABLE;
        }
      },
    },
  ]),
);

function decoded<T>(request: T): T {
  if (request === UNDECODABLE) throw new InvalidArgumentError("request", "is not a message of this call, or is nested too deep");
  return request;
}

function text(metadata: Metadata, key: string): string | undefined {
  return metadata.get(key)[0]?.toString();
}
