import { InvalidArgumentError } from "@memseal/errors";
import { z } from "zod";
import { elementPath, memberPath } from "./field-path.js";
import { filterFromJson } from "./filter-from-json.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { isRecord } from "./metadata.js";
import { fromRfc3339 } from "./rfc3339.js";
import { encodeVector } from "./vector.js";

// One check for a whole list, not one for each element: a fault in each of a million elements is one fault.
const strings = z.custom<string[]>((value) => isArrayOf(value, "string"), { error: "must be an array of strings" });
const numbers = z.custom<number[]>((value) => isArrayOf(value, "number"), { error: "must be an array of numbers" });
const object = z.custom<Record<string, unknown>>(isRecord, { error: "must be an object" });

const addSchema = z.strictObject({ memories: z.array(z.unknown()), user_id: z.string().optional() });

const newMemorySchema = z.strictObject({
  text: z.string(),
  agent_id: z.string().optional(),
  role: z.string().optional(),
  source: z.string().optional(),
  tags: strings.optional(),
  metadata: object.optional(),
  occurred_at: z.string().optional(),
  vector: numbers.optional(),
});

const searchSchema = z.strictObject({
  query: z.string(),
  top_k: z.number().optional(),
  filters: object.optional(),
  vector: numbers.optional(),
  rerank: z.boolean().optional(),
  explain: z.boolean().optional(),
  user_id: z.string().optional(),
});

const listSchema = z.strictObject({ limit: z.string().optional(), cursor: z.string().optional() });

/** Body of `POST /v1/memories`. @throws InvalidArgumentError with the path of the fault, as all readers here */
export function addFromJson(body: unknown): wire.AddRequest {
  const { memories, user_id } = read(addSchema, body, "");
  if (memories.length > LIMITS.memoriesPerCall) throw new InvalidArgumentError("memories", `must have 1 to ${LIMITS.memoriesPerCall} items`);
  return { memories: memories.map((memory, i) => newMemoryFromJson(memory, elementPath("memories", i))), userId: user_id };
}

/** Body of `POST /v1/memories/search`. */
export function searchFromJson(body: unknown): wire.SearchRequest {
  const { query, top_k, filters, vector, rerank, explain, user_id } = read(searchSchema, body, "");
  return {
    query,
    topK: top_k,
    filters: filters && filterFromJson(filters, "filters"),
    vector: vector && vectorFromJson(vector),
    rerank,
    explain: explain ?? false,
    userId: user_id,
  };
}

/** Query of `GET /v1/memories`, where every value is a string. */
export function listFromQuery(query: unknown): wire.ListRequest {
  const { limit, cursor } = read(listSchema, query, "");
  if (limit !== undefined && !/^\d{1,9}$/.test(limit)) throw new InvalidArgumentError("limit", "must be a whole number");
  return { limit: limit === undefined ? undefined : Number(limit), cursor };
}

function newMemoryFromJson(json: unknown, field: string): wire.NewMemory {
  const { text, agent_id, role, source, tags, metadata, occurred_at, vector } = read(newMemorySchema, json, field);
  const occurredAt = occurred_at === undefined ? undefined : fromRfc3339(occurred_at);
  if (occurred_at !== undefined && occurredAt === undefined) {
    throw new InvalidArgumentError(memberPath(field, "occurred_at"), "must be a time as in RFC 3339, such as 2023-05-08T13:56:00Z");
  }
  return { text, agentId: agent_id, role, source, tags: tags ?? [], metadata, occurredAt, vector: vector && vectorFromJson(vector) };
}

function vectorFromJson(vector: readonly number[]): Buffer {
  return encodeVector(Float32Array.from(vector));
}

function read<T extends z.ZodType>(schema: T, value: unknown, field: string): z.infer<T> {
  const result = schema.safeParse(value, { error: describe });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  let path = field;
  for (const step of issue?.path ?? []) path = typeof step === "number" ? elementPath(path, step) : memberPath(path, String(step));
  if (issue?.code === "unrecognized_keys") throw new InvalidArgumentError(memberPath(path, issue.keys[0] ?? ""), "is not a known field");
  throw new InvalidArgumentError(path === "" ? "body" : path, issue?.message ?? "is not valid");
}

/** What should stand there, and nothing of what does. */
function describe(issue: { code?: string; expected?: unknown; input?: unknown }): string | undefined {
  if (issue.code !== "invalid_type") return undefined;
  if (issue.input === undefined) return "is required";
  const expected = String(issue.expected);
  return `must be ${/^[aeiou]/.test(expected) ? "an" : "a"} ${expected}`;
}

function isArrayOf(value: unknown, type: "string" | "number"): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === type);
}
