import { InvalidArgumentError } from "@memseal/errors";
import type { Filter } from "@memseal/retrieval";
import { elementPath, memberPath } from "./field-path.js";
import { parseFilter } from "./filter-to-domain.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { parseMetadata, type Metadata } from "./metadata.js";
import { boundedText } from "./text.js";
import { fromTimestamp } from "./timestamp.js";
import { decodeVector } from "./vector.js";

/** What a caller wants remembered, within every limit. */
export interface NewMemory {
  readonly text: string;
  readonly agentId?: string | undefined;
  readonly role?: string | undefined;
  readonly source?: string | undefined;
  readonly tags: readonly string[];
  readonly metadata?: Metadata | undefined;
  readonly occurredAt?: Date | undefined;
  /** The caller's own embedding of the whole text. */
  readonly vector?: Float32Array | undefined;
}

/** Names no tenant: the credential does. A value that is not the credential's own user is refused. */
interface ClaimedUser {
  readonly userId?: string | undefined;
}

export interface AddMemories extends ClaimedUser {
  readonly memories: readonly NewMemory[];
}

export interface SearchQuery extends ClaimedUser {
  readonly query: string;
  readonly topK: number;
  readonly filter?: Filter | undefined;
  /** The caller's own embedding of the query. */
  readonly vector?: Float32Array | undefined;
  readonly rerank: boolean;
  readonly explain: boolean;
}

/** One memory, by its id in lower case. */
export interface MemoryRef {
  readonly id: string;
}

export interface ListQuery {
  readonly limit: number;
  /** `next_cursor` of the page before, opaque here. */
  readonly cursor?: string | undefined;
}

/** @throws InvalidArgumentError with the path of the fault, as all parsers here */
export function parseAdd(message: wire.AddRequest): AddMemories {
  const memories = bounded(message.memories, "memories", 1, LIMITS.memoriesPerCall);
  return Object.freeze({
    memories: Object.freeze(memories.map((memory, i) => parseNewMemory(memory, elementPath("memories", i)))),
    userId: parseUserId(message.userId),
  });
}

export function parseSearch(message: wire.SearchRequest): SearchQuery {
  if (message.query !== "" && message.query.trim() === "") throw new InvalidArgumentError("query", "must not be blank");
  return Object.freeze({
    query: boundedText(message.query, "query", LIMITS.queryCharacters),
    topK: inRange(message.topK ?? LIMITS.topKDefault, "top_k", LIMITS.topK),
    filter: message.filters && parseFilter(message.filters, "filters"),
    vector: message.vector && decodeVector(message.vector, "vector"),
    rerank: message.rerank ?? true,
    explain: message.explain,
    userId: parseUserId(message.userId),
  });
}

export function parseGet(message: wire.GetRequest): MemoryRef {
  return Object.freeze({ id: parseMemoryId(message.id) });
}

export function parseList(message: wire.ListRequest): ListQuery {
  return Object.freeze({
    limit: inRange(message.limit ?? LIMITS.listPageDefault, "limit", LIMITS.listPage),
    cursor: optional(message.cursor, "cursor", LIMITS.cursorCharacters),
  });
}

export function parseDelete(message: wire.DeleteRequest): MemoryRef {
  return Object.freeze({ id: parseMemoryId(message.id) });
}

/** One new memory; both services parse it so. */
export function parseNewMemory(message: wire.NewMemory, field: string): NewMemory {
  const at = (name: string) => memberPath(field, name);
  return Object.freeze({
    text: boundedText(message.text, at("text"), LIMITS.textCharacters),
    agentId: optional(message.agentId, at("agent_id"), LIMITS.labelCharacters),
    role: optional(message.role, at("role"), LIMITS.labelCharacters),
    source: optional(message.source, at("source"), LIMITS.labelCharacters),
    tags: parseTags(message.tags, at("tags")),
    metadata: message.metadata && parseMetadata(message.metadata, at("metadata")),
    occurredAt: message.occurredAt && fromTimestamp(message.occurredAt, at("occurred_at")),
    vector: message.vector && decodeVector(message.vector, at("vector")),
  });
}

/** In the caller's order, each once. */
function parseTags(tags: readonly string[], field: string): readonly string[] {
  const checked = bounded(tags, field, 0, LIMITS.tags).map((tag, i) => boundedText(tag, elementPath(field, i), LIMITS.tagCharacters));
  return Object.freeze([...new Set(checked)]);
}

function parseMemoryId(id: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) throw new InvalidArgumentError("id", "must be a UUID");
  return id.toLowerCase();
}

function parseUserId(userId: string | undefined): string | undefined {
  return optional(userId, "user_id", LIMITS.userIdCharacters);
}

function optional(text: string | undefined, field: string, max: number): string | undefined {
  return text === undefined ? undefined : boundedText(text, field, max);
}

function bounded<T>(items: readonly T[], field: string, min: number, max: number): readonly T[] {
  if (items.length < min || items.length > max) {
    throw new InvalidArgumentError(field, min === 0 ? `must have at most ${max} items` : `must have ${min} to ${max} items`);
  }
  return items;
}

function inRange(value: number, field: string, max: number): number {
  if (!Number.isInteger(value) || value < 1 || value > max) throw new InvalidArgumentError(field, `must be a whole number from 1 to ${max}`);
  return value;
}
