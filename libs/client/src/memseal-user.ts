import type {
  AddedMemory,
  AuditEvent,
  CallOptions,
  Conversation,
  Deleted,
  ErasureReceipt,
  ListRequest,
  Memory,
  MemoryChanges,
  MemoryVersion,
  NewMemory,
  Page,
  RerankRequest,
  RerankResponse,
  SearchAnswer,
  SearchEvent,
  SearchRequest,
  Selection,
  WriteOptions,
} from "./contract.js";
import type { Credentials, Purpose } from "./credentials.js";
import { errorInStream, MemsealError } from "./errors.js";
import type { Http, HttpRequest } from "./http.js";
import { serverSentEvents } from "./server-sent-events.js";
import { TimeBudget } from "./time-budget.js";
import { filtersToWire, fromWire, toWire } from "./wire-names.js";

export interface MemsealUserParts {
  http: Http;
  credentials: Credentials;
  /** Absent: the user that the key is bound to. */
  userId: string | undefined;
  timeoutMs: number;
}

/** What a header can carry; fetch would call the rest a failure of the network. */
const FORM_OF_KEY = /^[\x21-\x7e]{1,255}$/;

/** One user's memories. Calls reject with a MemsealError, or with the reason of the caller's signal. */
export class MemsealUser {
  readonly #parts: MemsealUserParts;

  constructor(parts: MemsealUserParts) {
    this.#parts = parts;
  }

  /** Stores one memory, several, or the turns of a conversation: all of them or none. Answers in their order. */
  add(memory: string | NewMemory, options?: WriteOptions): Promise<AddedMemory>;
  add(memories: readonly (string | NewMemory)[] | Conversation, options?: WriteOptions): Promise<AddedMemory[]>;
  async add(added: string | NewMemory | readonly (string | NewMemory)[] | Conversation, options?: WriteOptions): Promise<AddedMemory | AddedMemory[]> {
    const isOne = typeof added === "string" || "text" in added;
    const body = isOne ? { memories: [memoryOf(added)] } : "messages" in added ? added : { memories: added.map(memoryOf) };
    const { results } = await this.#write<{ results: AddedMemory[] }>({ method: "POST", path: "/v1/memories", body: this.#named(toWire(body)) }, options);
    return isOne ? results[0] : results;
  }

  /** The memories that answer best. `reranked` and `dense` say what took part in it. */
  search(query: string, { signal, timeoutMs, ...request }: SearchRequest & CallOptions = {}): Promise<SearchAnswer> {
    return this.#read({ method: "POST", path: "/v1/memories/search", body: this.#searchBody(query, request) }, { signal, timeoutMs });
  }

  /** The fused order at once, and what reranking makes of it as soon as it is known. Ending the loop ends the search. */
  async *searchStream(query: string, { signal, timeoutMs, ...request }: SearchRequest & CallOptions = {}): AsyncGenerator<SearchEvent, void, undefined> {
    const sent = { method: "POST", path: "/v1/memories/search/stream", body: this.#searchBody(query, request), headers: { accept: "text/event-stream" } } as const;
    const budget = new TimeBudget(timeoutMs ?? this.#parts.timeoutMs, signal);
    try {
      const { body, requestId } = await this.#authorized("memories", budget, (bearer) => this.#parts.http.stream(sent, bearer, budget));
      yield* searchEvents(body, requestId);
    } catch (error) {
      budget.signal.throwIfAborted();
      throw error instanceof MemsealError ? error : new MemsealError("unavailable", "the stream broke off", { cause: error });
    } finally {
      budget.end();
    }
  }

  /** The caller's own documents in order of relevance; nothing of them is stored. */
  rerank(query: string, documents: readonly string[], { signal, timeoutMs, ...request }: RerankRequest & CallOptions = {}): Promise<RerankResponse> {
    return this.#read({ method: "POST", path: "/v1/rerank", body: toWire({ query, documents, ...request }) }, { signal, timeoutMs });
  }

  get(id: string, options?: CallOptions): Promise<Memory> {
    return this.#read({ method: "GET", path: pathOf(id) }, options);
  }

  /** Every memory that passes the filter, newest first, page after page. */
  async *list({ filters, limit, ...options }: ListRequest & CallOptions = {}): AsyncGenerator<Memory, void, undefined> {
    yield* allOf((cursor) => this.listPage({ filters, limit, cursor, ...options }));
  }

  /** One page; `nextCursor` of it is the cursor of the next. */
  listPage({ filters, limit, cursor, ...options }: ListRequest & { cursor?: string | undefined } & CallOptions = {}): Promise<Page<Memory>> {
    // Not the query of a GET: filters may be long, and addresses are what proxies log.
    const body = this.#named({ limit, cursor, filters: filters && filtersToWire(filters) });
    return this.#read({ method: "POST", path: "/v1/memories/list", body }, options);
  }

  /** Changes the fields that are given. ifMatch: the version that was read; any other is refused (`failed_precondition`). */
  update(id: string, changes: MemoryChanges, { ifMatch, ...options }: WriteOptions & { ifMatch?: number | undefined } = {}): Promise<Memory> {
    return this.#write({ method: "PATCH", path: pathOf(id), body: this.#named(toWire(changes)), headers: conditionOf(ifMatch) }, options);
  }

  /** The versions that are kept, newest first. */
  async history(id: string, options?: CallOptions): Promise<MemoryVersion[]> {
    const { results } = await this.#read<{ results: MemoryVersion[] }>({ method: "GET", path: `${pathOf(id)}/history` }, options);
    return results;
  }

  /** By id, where an absent one is `not_found` and ifMatch is as in `update`; or those that a selection names, of which absent ones are not counted. */
  delete(id: string, options?: WriteOptions & { ifMatch?: number | undefined }): Promise<Deleted>;
  delete(selection: Selection, options?: WriteOptions & { dryRun?: boolean | undefined }): Promise<Deleted>;
  delete(which: string | Selection, { dryRun, ifMatch, ...options }: WriteOptions & { dryRun?: boolean | undefined; ifMatch?: number | undefined } = {}): Promise<Deleted> {
    if (typeof which === "string") return this.#write({ method: "DELETE", path: pathOf(which), headers: conditionOf(ifMatch) }, options);
    const selection = "filters" in which ? { filters: filtersToWire(which.filters) } : which;
    return this.#write({ method: "POST", path: "/v1/memories/delete", body: this.#named({ ...selection, dry_run: dryRun }) }, options);
  }

  /** What was done to the user's memories, newest first. Scope admin. */
  async *audit({ limit, ...options }: { limit?: number | undefined } & CallOptions = {}): AsyncGenerator<AuditEvent, void, undefined> {
    yield* allOf((cursor) => this.#send<Page<AuditEvent>>("administration", { method: "GET", path: `/v1/audit${queryOf({ limit, cursor })}` }, options));
  }

  /** Destroys the user's keys: nothing of the user is ever opened again. Scope admin. */
  erase(options?: WriteOptions): Promise<ErasureReceipt> {
    return this.#write({ method: "POST", path: "/v1/erasures", body: this.#named({}) }, options, "administration");
  }

  /** The receipt of an erasure again, with what is known of it by now. Scope admin. */
  erasure(id: string, options?: CallOptions): Promise<ErasureReceipt> {
    return this.#send("administration", { method: "GET", path: `/v1/erasures/${encodeURIComponent(id)}` }, options);
  }

  #read<T>(request: HttpRequest, options: CallOptions = {}): Promise<T> {
    return this.#send("memories", { ...request }, options);
  }

  /** The key is made once for all attempts, so that they are one write. */
  async #write<T>(request: HttpRequest, { idempotencyKey = newIdempotencyKey(), ...options }: WriteOptions = {}, purpose: Purpose = "memories"): Promise<T> {
    if (!FORM_OF_KEY.test(idempotencyKey)) throw new MemsealError("invalid_argument", "idempotencyKey must have 1 to 255 visible ASCII characters", { field: "idempotency-key" });
    return this.#send(purpose, { ...request, headers: { ...request.headers, "idempotency-key": idempotencyKey } }, options);
  }

  async #send<T>(purpose: Purpose, request: HttpRequest, { signal, timeoutMs }: CallOptions = {}): Promise<T> {
    const budget = new TimeBudget(timeoutMs ?? this.#parts.timeoutMs, signal);
    try {
      return fromWire(await this.#authorized(purpose, budget, (bearer) => this.#parts.http.json(request, bearer, budget))) as T;
    } finally {
      budget.end();
    }
  }

  /** Once more with a new token where the service no longer takes the one there was. */
  async #authorized<T>(purpose: Purpose, budget: TimeBudget, work: (bearer: string) => Promise<T>): Promise<T> {
    const { credentials, userId } = this.#parts;
    const bearer = () => budget.during(credentials.bearer(userId, purpose));
    try {
      return await work(await bearer());
    } catch (error) {
      if (!(error instanceof MemsealError && error.code === "unauthenticated" && credentials.forget(userId, purpose))) throw error;
      return work(await bearer());
    }
  }

  #searchBody(query: string, { filters, ...request }: SearchRequest): object {
    return this.#named({ query, ...(toWire(request) as object), filters: filters && filtersToWire(filters) });
  }

  /** With the user's name, so that a key of another user is refused rather than taken for this one's. */
  #named(body: unknown): object {
    return { ...(body as object), user_id: this.#parts.userId };
  }
}

async function* searchEvents(body: ReadableStream<Uint8Array>, requestId: string | undefined): AsyncGenerator<SearchEvent, void, undefined> {
  for await (const { event, data } of serverSentEvents(body)) {
    const json: unknown = JSON.parse(data);
    const value = fromWire(json) as Record<string, unknown>;
    switch (event) {
      case "results":
        yield { type: "results", answer: value as unknown as SearchAnswer };
        break;
      case "reranked":
        yield { type: "reranked", ...(value as unknown as Omit<Extract<SearchEvent, { type: "reranked" }>, "type">) };
        break;
      case "rerank_skipped":
        yield { type: "rerankSkipped", reason: String(value["reason"]) };
        break;
      case "done":
        yield { type: "done", ...(value as unknown as Omit<Extract<SearchEvent, { type: "done" }>, "type">) };
        return;
      case "error":
        throw errorInStream(json as Record<string, unknown>, requestId);
      default:
        // Of a newer service: no part of what this one promises.
    }
  }
  throw new MemsealError("unavailable", "the stream broke off", { requestId });
}

async function* allOf<T>(pageAt: (cursor: string | undefined) => Promise<Page<T>>): AsyncGenerator<T, void, undefined> {
  let cursor: string | undefined;
  do {
    const { results, nextCursor } = await pageAt(cursor);
    yield* results;
    cursor = nextCursor;
  } while (cursor !== undefined);
}

function memoryOf(memory: string | NewMemory): NewMemory {
  return typeof memory === "string" ? { text: memory } : memory;
}

function pathOf(id: string): string {
  return `/v1/memories/${encodeURIComponent(id)}`;
}

function conditionOf(ifMatch: number | undefined): Record<string, string> | undefined {
  return ifMatch === undefined ? undefined : { "if-match": `"${ifMatch}"` };
}

function queryOf(values: Readonly<Record<string, string | number | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== undefined) query.set(name, String(value));
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

/** 128 random bits. Not randomUUID: browsers have that on https alone. */
function newIdempotencyKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
