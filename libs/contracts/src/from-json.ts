import { InvalidArgumentError } from "@memseal/errors";
import { z } from "zod";
import { elementPath } from "./field-path.js";
import { filterFromJson } from "./filter-from-json.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { object, read, strings, texts, time, vector } from "./json-reader.js";
import { LIMITS } from "./limits.js";

const addSchema = z.strictObject({
  memories: z.array(z.unknown()).default([]),
  messages: z.array(z.unknown()).default([]),
  run_id: z.string().optional(),
  agent_id: z.string().optional(),
  user_id: z.string().optional(),
});

const newMemorySchema = z.strictObject({
  text: z.string(),
  key: z.string().optional(),
  agent_id: z.string().optional(),
  run_id: z.string().optional(),
  role: z.string().optional(),
  source: z.string().optional(),
  tags: strings.optional(),
  metadata: object.optional(),
  occurred_at: time.optional(),
  expires_at: time.optional(),
  vector: vector.optional(),
});

const messageSchema = z.strictObject({
  role: z.string(),
  content: z.string(),
  occurred_at: time.optional(),
  metadata: object.optional(),
  vector: vector.optional(),
});

/** null: the field is to have no value. */
const updateSchema = z.strictObject({
  text: z.string().optional(),
  agent_id: z.string().nullish(),
  role: z.string().nullish(),
  source: z.string().nullish(),
  tags: strings.nullish(),
  metadata: object.nullish(),
  occurred_at: time.nullish(),
  expires_at: time.nullish(),
  vector: vector.optional(),
  user_id: z.string().optional(),
});

const searchSchema = z.strictObject({
  query: z.string(),
  top_k: z.number().optional(),
  filters: object.optional(),
  vector: vector.optional(),
  rerank: z.boolean().optional(),
  explain: z.boolean().optional(),
  threshold: z.number().optional(),
  decay: z.strictObject({ half_life_days: z.number() }).optional(),
  as_of: time.optional(),
  mode: z.string().optional(),
  context: z.boolean().optional(),
  user_id: z.string().optional(),
});

const rerankSchema = z.strictObject({
  query: z.string(),
  documents: texts,
  top_n: z.number().optional(),
  model: z.string().optional(),
  return_documents: z.boolean().optional(),
  raw_scores: z.boolean().optional(),
});

const listBodySchema = z.strictObject({
  limit: z.number().optional(),
  cursor: z.string().optional(),
  filters: object.optional(),
  user_id: z.string().optional(),
});

const deleteManySchema = z.strictObject({
  ids: strings.optional(),
  key: z.string().optional(),
  filters: object.optional(),
  all: z.boolean().optional(),
  dry_run: z.boolean().optional(),
  user_id: z.string().optional(),
});

const tokenSchema = z.strictObject({ user_id: z.string(), scopes: strings, ttl_s: z.number() });
const eraseSchema = z.strictObject({ user_id: z.string().optional() }).prefault({});

const pageSchema = z.strictObject({ limit: z.string().optional(), cursor: z.string().optional() });
const listSchema = pageSchema.extend({ filters: z.string().optional(), user_id: z.string().optional() });

/** Body of `POST /v1/memories`. @throws InvalidArgumentError with the path of the fault, as all readers here */
export function addFromJson(body: unknown): wire.AddRequest {
  const { memories, messages, run_id, agent_id, user_id } = read(addSchema, body, "");
  return {
    memories: each(memories, "memories", newMemoryFromJson),
    messages: each(messages, "messages", messageFromJson),
    runId: run_id,
    agentId: agent_id,
    userId: user_id,
  };
}

/** Body of `PATCH /v1/memories/{id}`. ifMatch: the header `If-Match`, a version with or without quotes. */
export function updateFromJson(body: unknown, { id, ifMatch }: { id: string; ifMatch: string | undefined }): wire.UpdateRequest {
  const { text, agent_id, role, source, tags, metadata, occurred_at, expires_at, vector, user_id } = read(updateSchema, body, "");
  const clearable = { agent_id, role, source, tags, metadata, occurred_at, expires_at };
  return {
    id,
    ifMatch: ifMatch === undefined ? undefined : versionOf(ifMatch),
    text,
    agentId: agent_id ?? undefined,
    role: role ?? undefined,
    source: source ?? undefined,
    tags: tags ? { tags } : undefined,
    metadata: metadata ?? undefined,
    occurredAt: occurred_at ?? undefined,
    expiresAt: expires_at ?? undefined,
    vector,
    clear: Object.entries(clearable).filter(([, value]) => value === null).map(([name]) => name),
    userId: user_id,
  };
}

/** `DELETE /v1/memories/{id}`. ifMatch: as in updateFromJson. */
export function deleteFromPath({ id, ifMatch }: { id: string; ifMatch: string | undefined }): wire.DeleteRequest {
  return { id, ifMatch: ifMatch === undefined ? undefined : versionOf(ifMatch) };
}

/** Body of `POST /v1/memories/search` and of the same with `/stream`. */
export function searchFromJson(body: unknown): wire.SearchRequest {
  const { query, top_k, filters, vector, rerank, explain, threshold, decay, as_of, mode, context, user_id } = read(searchSchema, body, "");
  return {
    query,
    topK: top_k,
    filters: filters && filterFromJson(filters, "filters"),
    vector,
    rerank,
    explain: explain ?? false,
    threshold,
    decay: decay && { halfLifeDays: decay.half_life_days },
    asOf: as_of,
    mode,
    context,
    userId: user_id,
  };
}

/** Body of `POST /v1/rerank` and `POST /v2/rerank`: as Cohere, Jina and those who follow them have it, with `raw_scores` beside. */
export function rerankFromJson(body: unknown): wire.RerankRequest {
  const { query, documents, top_n, model, return_documents, raw_scores } = read(rerankSchema, body, "");
  return { query, documents, topN: top_n, model, returnDocuments: return_documents ?? false, rawScores: raw_scores ?? false };
}

/** Body of `POST /v1/memories/delete`. */
export function deleteManyFromJson(body: unknown): wire.DeleteManyRequest {
  const { ids, key, filters, all, dry_run, user_id } = read(deleteManySchema, body, "");
  return { ids: ids ?? [], key, filters: filters && filterFromJson(filters, "filters"), all: all ?? false, dryRun: dry_run ?? false, userId: user_id };
}

/** Body of `POST /v1/tokens`. */
export function createTokenFromJson(body: unknown): wire.CreateTokenRequest {
  const { user_id, scopes, ttl_s } = read(tokenSchema, body, "");
  return { userId: user_id, scopes, ttlS: ttl_s };
}

/** Body of `POST /v1/erasures`, undefined where none was sent: it says nothing that the credential does not. */
export function eraseFromJson(body: unknown): wire.EraseRequest {
  return { userId: read(eraseSchema, body, "").user_id };
}

/** Body of `POST /v1/memories/list`. */
export function listFromJson(body: unknown): wire.ListRequest {
  const { limit, cursor, filters, user_id } = read(listBodySchema, body, "");
  return { limit, cursor, filters: filters && filterFromJson(filters, "filters"), userId: user_id };
}

/** Query of `GET /v1/memories`, where every value is a string; `filters` holds JSON. */
export function listFromQuery(query: unknown): wire.ListRequest {
  const { filters, user_id, ...page } = read(listSchema, query, "");
  return { ...pageFrom(page), filters: filters === undefined ? undefined : filterFromText(filters), userId: user_id };
}

/** Query of `GET /v1/audit`. */
export function listAuditFromQuery(query: unknown): wire.ListAuditRequest {
  return pageFrom(read(pageSchema, query, ""));
}

function newMemoryFromJson(json: unknown, field: string): wire.NewMemory {
  const { text, key, agent_id, run_id, role, source, tags, metadata, occurred_at, expires_at, vector } = read(newMemorySchema, json, field);
  return {
    text, key, agentId: agent_id, runId: run_id, role, source, tags: tags ?? [], metadata, occurredAt: occurred_at, expiresAt: expires_at, vector,
  };
}

function messageFromJson(json: unknown, field: string): wire.Message {
  const { role, content, occurred_at, metadata, vector } = read(messageSchema, json, field);
  return { role, content, occurredAt: occurred_at, metadata, vector };
}

/** Counted before any is read: a million would be a million times the work. */
function each<T>(items: readonly unknown[], field: string, fromJson: (item: unknown, field: string) => T): T[] {
  if (items.length > LIMITS.memoriesPerCall) throw new InvalidArgumentError(field, `must have 1 to ${LIMITS.memoriesPerCall} items`);
  return items.map((item, i) => fromJson(item, elementPath(field, i)));
}

function pageFrom({ limit, cursor }: z.infer<typeof pageSchema>): wire.ListAuditRequest {
  if (limit !== undefined && !/^\d{1,9}$/.test(limit)) throw new InvalidArgumentError("limit", "must be a whole number");
  return { limit: limit === undefined ? undefined : Number(limit), cursor };
}

function filterFromText(text: string): wire.Filter | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new InvalidArgumentError("filters", "must be JSON");
  }
  return filterFromJson(read(object, json, "filters"), "filters");
}

function versionOf(ifMatch: string): number {
  const [, quoted, bare] = /^(?:"(\d{1,10})"|(\d{1,10}))$/.exec(ifMatch) ?? [];
  const version = quoted ?? bare;
  if (version === undefined) throw new InvalidArgumentError("if_match", "must be one version, as an answer gave it");
  return Number(version);
}
