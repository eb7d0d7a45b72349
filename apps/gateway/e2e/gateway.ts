import { Metadata, type Client, type MethodDefinition, type ServiceError } from "@grpc/grpc-js";
import {
  addFromJson,
  addResponseToJson,
  createTokenFromJson,
  createTokenResponseToJson,
  deleteFromPath,
  deleteManyFromJson,
  deleteResponseToJson,
  eraseFromJson,
  erasureReceiptToJson,
  historyResponseToJson,
  listAuditFromQuery,
  listAuditResponseToJson,
  listFromJson,
  listFromQuery,
  listResponseToJson,
  memoryToJson,
  rerankFromJson,
  rerankResponseToJson,
  MemoryServiceService as methods,
  type RerankEvent,
  searchAnswerToJson,
  searchEventToJson,
  searchFromJson,
  updateFromJson,
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
  /** Whether it is marked as the answer of an earlier request. */
  isReplayed: boolean;
  /** Over HTTP, by their names in lower case. */
  headers?: Readonly<Record<string, string>>;
}

export interface Ask {
  method: Method;
  /** Body or, for list and listAudit, query; `id` goes into the path where there is one. A string is sent as it is. */
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

interface Call {
  definition: MethodDefinition<never, never>;
  fromJson: (json: Json, headers: Record<string, string>) => unknown;
  toJson: (message: never) => object;
  /** Where it is over HTTP, if it is. The rest of the JSON is the body of POST and PATCH, the query of GET. */
  http: { readonly verb: Verb; readonly path: string } | undefined;
}

type Verb = "GET" | "POST" | "PATCH" | "DELETE";

function call(definition: unknown, fromJson: Call["fromJson"], toJson: Call["toJson"], verb?: Verb, path = ""): Call {
  return { definition: definition as never, fromJson, toJson, http: verb && { verb, path } };
}

const asIs = (json: Json): unknown => json;

/** How each call's JSON becomes a message and its answer JSON again, and where it is over HTTP; by the operation's id, where it has one. */
const CALLS = {
  add: call(methods.add, addFromJson, addResponseToJson, "POST", "/v1/memories"),
  search: call(methods.search, searchFromJson, searchAnswerToJson, "POST", "/v1/memories/search"),
  /** Its body is `{events: [{event, data}]}`. */
  searchStream: call(methods.searchStream, searchFromJson, searchEventToJson, "POST", "/v1/memories/search/stream"),
  get: call(methods.get, asIs, memoryToJson, "GET", "/v1/memories/:id"),
  list: call(methods.list, listFromQuery, listResponseToJson, "GET", "/v1/memories"),
  listByBody: call(methods.list, listFromJson, listResponseToJson, "POST", "/v1/memories/list"),
  update: call(methods.update, ({ id, ...body }, headers) => updateFromJson(body, { id: id as string, ifMatch: headers["if-match"] }), memoryToJson, "PATCH", "/v1/memories/:id"),
  history: call(methods.history, asIs, historyResponseToJson, "GET", "/v1/memories/:id/history"),
  delete: call(methods.delete, ({ id }, headers) => deleteFromPath({ id: id as string, ifMatch: headers["if-match"] }), deleteResponseToJson, "DELETE", "/v1/memories/:id"),
  deleteMany: call(methods.deleteMany, deleteManyFromJson, deleteResponseToJson, "POST", "/v1/memories/delete"),
  listAudit: call(methods.listAudit, listAuditFromQuery, listAuditResponseToJson, "GET", "/v1/audit"),
  rerank: call(methods.rerank, rerankFromJson, rerankResponseToJson, "POST", "/v1/rerank"),
  rerankV2: call(methods.rerank, rerankFromJson, rerankResponseToJson, "POST", "/v2/rerank"),
  /** Over gRPC alone. */
  rerankStream: call(methods.rerankStream, rerankFromJson, ({ event }: RerankEvent) => ({ event: event?.$case })),
  createToken: call(methods.createToken, createTokenFromJson, createTokenResponseToJson, "POST", "/v1/tokens"),
  erase: call(methods.erase, eraseFromJson, erasureReceiptToJson, "POST", "/v1/erasures"),
  getErasure: call(methods.getErasure, asIs, erasureReceiptToJson, "GET", "/v1/erasures/:id"),
};
export type Method = keyof typeof CALLS;
export const METHODS = Object.keys(CALLS) as Method[];
/** Those that both transports have. */
export const SHARED_METHODS = METHODS.filter((method) => CALLS[method].http !== undefined);
/** Whether a call has a body over HTTP. */
export const hasBody = (method: Method): boolean => sendsBody(CALLS[method].http?.verb);
/** The path of a call over gRPC. */
export const grpcPathOf = (method: Method): string => CALLS[method].definition.path;

const sendsBody = (verb: Verb | undefined): boolean => verb === "POST" || verb === "PATCH";

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
    if (CALLS[ask.method].http !== undefined) described.check(ask.method, answer);
    return answer;
  }

  get url(): string {
    return `http://${this.http}`;
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(this.url + path, init);
  }

  async stop(): Promise<void> {
    this.#grpc.close();
    await this.process.kill("SIGTERM");
  }

  async #askHttp({ method, json = {}, key, headers = {} }: Ask): Promise<Answer> {
    const { id, ...rest } = (typeof json === "string" ? {} : json) as Record<string, string>;
    const { verb, path: pattern } = CALLS[method].http ?? fail(`${method} is not over HTTP`);
    const path = pattern.replace(":id", id);
    const query = verb === "GET" && Object.keys(rest).length > 0 ? `?${new URLSearchParams(rest).toString()}` : "";
    const sent = sendsBody(verb) ? (typeof json === "string" ? json : JSON.stringify(pattern.includes(":id") ? rest : json)) : undefined;
    const contentType = verb === "PATCH" ? "application/merge-patch+json" : "application/json";
    const response = await this.fetch(path + query, {
      method: verb,
      headers: { ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...(sent === undefined ? {} : { "content-type": contentType }), ...headers },
      ...(sent === undefined ? {} : { body: sent }),
    });
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
    const answer: Json = isStream ? { events: eventsIn(await response.text()) } : ((await response.json()) as Json);
    return {
      code: response.ok ? "ok" : String(answer["code"]),
      status: response.status,
      body: answer,
      field: answer["field"] as string | undefined,
      retryAfter: response.headers.get("retry-after") ?? undefined,
      requestId: response.headers.get("x-request-id") ?? undefined,
      isReplayed: response.headers.get("idempotent-replayed") === "true",
      headers: Object.fromEntries(response.headers),
    };
  }

  #askGrpc({ method, json = {}, message, key, headers = {} }: Ask): Promise<Answer> {
    const { definition, fromJson, toJson } = CALLS[method];
    const metadata = new Metadata();
    if (key !== undefined) metadata.set("authorization", `Bearer ${key}`);
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const request = (message ?? fromJson(json as Json, headers)) as never;
    const serialize = (value: never) => (Buffer.isBuffer(value) ? value : definition.requestSerialize(value));
    const { path, responseDeserialize } = definition;
    const options = { deadline: Date.now() + 30_000 };
    const asJson = (answer: never) => JSON.parse(JSON.stringify(toJson(answer))) as Json;
    return new Promise((resolve) => {
      let initial = new Metadata();
      const end = (error: ServiceError | null, body: Json) => {
        const field = error?.metadata.get("memseal-field")[0]?.toString();
        resolve({
          code: GRPC_CODES[error?.code ?? 0],
          body: error ? { detail: error.details } : body,
          field: field && decodeURIComponent(field),
          retryAfter: error?.metadata.get("retry-after")[0]?.toString(),
          requestId: initial.get("x-request-id")[0]?.toString(),
          isReplayed: initial.get("idempotent-replayed")[0] === "true",
        });
      };
      const onMetadata = (received: Metadata) => { initial = received; };
      if (definition.responseStream) {
        const events: Json[] = [];
        this.#grpc.makeServerStreamRequest(path, serialize, responseDeserialize, request, metadata, options)
          .on("metadata", onMetadata)
          .on("data", (event: never) => events.push(asJson(event)))
          .on("error", (error: ServiceError) => { end(error, {}); })
          .on("end", () => { end(null, { events }); });
      } else {
        this.#grpc.makeUnaryRequest(path, serialize, responseDeserialize, request, metadata, options, (error: ServiceError | null, response?: never) => {
          end(error, error ? {} : asJson(response!));
        }).on("metadata", onMetadata);
      }
    });
  }
}

/** The events of a whole text/event-stream. */
function eventsIn(text: string): { event: string; data: unknown }[] {
  return text.split("\n\n").filter((block) => block !== "").map((block) => {
    const { event = "", data = "null" } = /^event: (?<event>.*)\ndata: (?<data>.*)$/.exec(block)?.groups ?? {};
    return { event, data: JSON.parse(data) as unknown };
  });
}

function fail(why: string): never {
  throw new Error(why);
}

/** The texts of all memories that a key's user has. */
export async function storedTexts(gateway: Gateway, key: string): Promise<string[]> {
  const texts: string[] = [];
  let cursor: string | undefined;
  do {
    const { body } = await gateway.ask("http", { method: "list", key, json: { limit: "100", ...(cursor && { cursor }) } });
    texts.push(...(body["results"] as { text: string }[]).map(({ text }) => text));
    cursor = body["next_cursor"] as string | undefined;
  } while (cursor !== undefined);
  return texts;
}
