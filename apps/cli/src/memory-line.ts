import { toWire, type Memory, type NewMemory } from "@memseal/client";
import { addFromJson, parseAdd } from "@memseal/contracts";
import { InvalidArgumentError } from "@memseal/errors";
import { z } from "zod";

/** A memory to import, and whose it is where the line says so. */
export interface ImportedMemory {
  memory: NewMemory;
  userId: string | undefined;
  /** Members of the line that no memory here has. */
  leftOut: readonly string[];
}

/** What an export holds of a memory beside what can be added: the service gives these itself. */
const GIVEN_BY_SERVICE: ReadonlySet<string> = new Set(["id", "position", "created_at", "updated_at", "version"]);

/** A memory as mem0 exports it; null stands for absent there. */
const mem0Schema = z.looseObject({
  memory: z.string(),
  id: z.string().nullish(),
  user_id: z.string().nullish(),
  agent_id: z.string().nullish(),
  run_id: z.string().nullish(),
  role: z.string().nullish(),
  categories: z.array(z.string()).nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  created_at: z.string().nullish(),
  expiration_date: z.string().nullish(),
});

const MEM0_MEMBERS: ReadonlySet<string> = new Set(Object.keys(mem0Schema.shape));

/** One line of an export: a memory as the HTTP interface shows it. */
export function lineOf(memory: Memory): string {
  return JSON.stringify(toWire(memory));
}

/**
 * A line as lineOf writes it, as `POST /v1/memories` takes it, or as mem0 exports it, checked against every limit that does
 * not need the service.
 * @throws InvalidArgumentError with the member's path
 */
export function memoryOf(json: string): ImportedMemory {
  const value = parsed(json);
  if (!isObject(value)) throw new InvalidArgumentError("line", "must be a JSON object");
  return typeof value["memory"] === "string" && value["text"] === undefined ? fromMem0(value) : fromOwn(value);
}

function fromOwn(value: Readonly<Record<string, unknown>>): ImportedMemory {
  const { user_id: userId, ...rest } = value;
  const members = Object.entries(rest).filter(([name]) => !GIVEN_BY_SERVICE.has(name));
  return { memory: checked(Object.fromEntries(members)), userId: userOf(userId), leftOut: [] };
}

function fromMem0(value: unknown): ImportedMemory {
  const result = mem0Schema.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new InvalidArgumentError(issue?.path.join(".") ?? "line", "is not as mem0 exports it");
  }
  const { memory, id, user_id, agent_id, run_id, role, categories, metadata, created_at, expiration_date, ...others } = result.data;
  const members = {
    text: memory,
    // Its old id finds it again, and makes a second import of it an update.
    key: id ?? undefined,
    agent_id: agent_id ?? undefined,
    run_id: run_id ?? undefined,
    role: role ?? undefined,
    tags: categories ?? undefined,
    metadata: metadata ?? undefined,
    occurred_at: created_at ?? undefined,
    // The day it names is the last on which it is there.
    expires_at: expiration_date === undefined || expiration_date === null ? undefined : /^\d{4}-\d\d-\d\d$/.test(expiration_date) ? `${expiration_date}T23:59:59Z` : expiration_date,
  };
  const leftOut = Object.keys(others).filter((name) => !MEM0_MEMBERS.has(name) && others[name] !== null);
  return { memory: checked(Object.fromEntries(Object.entries(members).filter(([, member]) => member !== undefined))), userId: userOf(user_id ?? undefined), leftOut };
}

/** By the parser of the service itself. */
function checked(members: Readonly<Record<string, unknown>>): NewMemory {
  const prefix = "memories[0].";
  try {
    const [memory] = parseAdd(addFromJson({ memories: [members] })).memories;
    return memory;
  } catch (error) {
    if (!(error instanceof InvalidArgumentError) || error.field?.startsWith(prefix) !== true) throw error;
    const field = error.field.slice(prefix.length);
    throw new InvalidArgumentError(field, error.message.slice(error.field.length + 2));
  }
}

function userOf(value: unknown): string | undefined {
  if (value === undefined || (typeof value === "string" && value !== "")) return value;
  throw new InvalidArgumentError("user_id", "must be a user's id");
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new InvalidArgumentError("line", "is not JSON");
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
