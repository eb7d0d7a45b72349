import { Metadata, type Client, type MethodDefinition, type ServiceError } from "@grpc/grpc-js";
import {
  addFromJson,
  addResponseToJson,
  deleteResponseToJson,
  listFromQuery,
  listResponseToJson,
  memoryToJson,
  MemoryServiceService as methods,
  searchAnswerToJson,
  searchFromJson,
} from "@memseal/contracts";
import { connect } from "@memseal/transport";
import type { ServiceProcess } from "@memseal/transport/testing";
import { DescribedAnswers, type OpenApi } from "./described-answers.js";

export type Json = Record<string, unknown>;

/** What a caller learns, whichever way it asked. */
export interface Answer {
  /** `ok` or the code of an error. */
  code: string;
  status?: number;
  /** As JSON over HTTP; over gRPC the message, translated. */
  body: Json;
  field: string | undefined;
  retryAfter: string | undefined;
  requestId: string | undefined;
}

export interface Ask {
  method: "add" | "search" | "get" | "list" | "delete";
  /** Body or, for list, query; for get and delete `{id}`. A string is sent as it is. */
  json?: Json | string;
  /** Over gRPC; the same as `json` unless given. Bytes are sent as they are. */
  message?: unknown;
  key?: string | undefined;
  headers?: Record<string, string>;
}

export const TRANSPORTS = ["http", "grpc"] as const;
export type Transport = (typeof TRANSPORTS)[number];

const GRPC_CODES = [
  "ok", "cancelled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied", "resource_exhausted",
  "failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss", "unauthenticated",
];

/** How each call's JSON becomes a message and its answer JSON again. */
const GRPC: Record<Ask["method"], { definition: MethodDefinition<never, never>; fromJson: (json: Json) => unknown; toJson: (message: never) => object }> = {
  add: { definition: methods.add as never, fromJson: addFromJson, toJson: addResponseToJson },
  search: { definition: methods.search as never, fromJson: searchFromJson, toJson: searchAnswerToJson },
  get: { definition: methods.get as never, fromJson: (json) => json, toJson: memoryToJson },
  list: { definition: methods.list as never, fromJson: listFromQuery, toJson: listResponseToJson },
  delete: { definition: methods.delete as never, fromJson: (json) => json, toJson: deleteResponseToJson },
};

/** A running gateway, spoken to over the network alone. */
export class Gateway {
  readonly #grpc: Client;
  #described: Promise<DescribedAnswers> | undefined;

  constructor(
    readonly process: ServiceProcess,
    readonly http: string,
    readonly grpc: string,
  ) {
    this.#grpc = connect(grpc);
  }

  /** @throws Error for an answer that is not as the gateway's OpenAPI document says */
  async ask(transport: Transport, ask: Ask): Promise<Answer> {
    // First: a gateway that is asked while it stops may be gone when it has answered.
    this.#described ??= this.fetch("/docs/openapi.json").then(async (response) => new DescribedAnswers((await response.json()) as OpenApi));
    const described = await this.#described;
    const answer = await (transport === "http" ? this.#askHttp(ask) : this.#askGrpc(ask));
    described.check(ask.method, answer);
    return answer;
  }

  get url(): string {
    return `http://${this.http}`;
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(this.url + path, init);
  }

  /** What a gRPC method answers to an empty message, as a code. */
  codeOf(path: string, key: string): Promise<string> {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${key}`);
    const bytes = (value: Buffer) => value;
    return new Promise((resolve) => {
      this.#grpc.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), metadata, { deadline: Date.now() + 30_000 }, (error) => { resolve(GRPC_CODES[error?.code ?? 0]); });
    });
  }

  async stop(): Promise<void> {
    this.#grpc.close();
    await this.process.kill("SIGTERM");
  }

  async #askHttp({ method, json = {}, key, headers = {} }: Ask): Promise<Answer> {
    const { id, ...query } = (typeof json === "string" ? {} : json) as Record<string, string>;
    const body = typeof json === "string" ? json : JSON.stringify(json);
    const [verb, path, sent] = {
      add: ["POST", "/v1/memories", body],
      search: ["POST", "/v1/memories/search", body],
      get: ["GET", `/v1/memories/${id}`],
      list: ["GET", `/v1/memories?${new URLSearchParams(query).toString()}`],
      delete: ["DELETE", `/v1/memories/${id}`],
    }[method];
    const response = await this.fetch(path, {
      method: verb,
      headers: { ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...(sent === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(sent === undefined ? {} : { body: sent }),
    });
    const answer = (await response.json()) as Json;
    return {
      code: response.ok ? "ok" : String(answer["code"]),
      status: response.status,
      body: answer,
      field: answer["field"] as string | undefined,
      retryAfter: response.headers.get("retry-after") ?? undefined,
      requestId: response.headers.get("x-request-id") ?? undefined,
    };
  }

  #askGrpc({ method, json = {}, message, key, headers = {} }: Ask): Promise<Answer> {
    const { definition, fromJson, toJson } = GRPC[method];
    const metadata = new Metadata();
    if (key !== undefined) metadata.set("authorization", `Bearer ${key}`);
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const request = message ?? fromJson(json as Json);
    const serialize = (value: unknown) => (Buffer.isBuffer(value) ? value : definition.requestSerialize(value as never));
    return new Promise((resolve) => {
      let requestId: string | undefined;
      const call = this.#grpc.makeUnaryRequest(
        definition.path, serialize, definition.responseDeserialize, request, metadata, { deadline: Date.now() + 30_000 },
        (error: ServiceError | null, response?: never) => {
          const field = error?.metadata.get("memseal-field")[0]?.toString();
          resolve({
            code: GRPC_CODES[error?.code ?? 0],
            body: error ? { detail: error.details } : (JSON.parse(JSON.stringify(toJson(response!))) as Json),
            field: field && decodeURIComponent(field),
            retryAfter: error?.metadata.get("retry-after")[0]?.toString(),
            requestId,
          });
        },
      );
      call.on("metadata", (initial: Metadata) => { requestId = initial.get("x-request-id")[0]?.toString(); });
    });
  }
}
