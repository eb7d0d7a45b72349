import { InvalidArgumentError } from "@memseal/errors";
import { bounded, optionalLabel, optionalText, parseUserId, type ClaimedUser } from "./bounds.js";
import { elementPath, memberPath } from "./field-path.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { parseMetadata, type Metadata } from "./metadata.js";
import { boundedText } from "./text.js";
import { fromTimestamp } from "./timestamp.js";
import { decodeVector } from "./vector.js";

/** What a caller wants remembered, within every limit. */
export interface NewMemory {
  readonly text: string;
  /** The caller's own id for it. */
  readonly key?: string | undefined;
  readonly agentId?: string | undefined;
  /** The conversation it is appended to. */
  readonly runId?: string | undefined;
  readonly role?: string | undefined;
  readonly source?: string | undefined;
  readonly tags: readonly string[];
  readonly metadata?: Metadata | undefined;
  readonly occurredAt?: Date | undefined;
  /** Not compared with any clock here: the same request is the same, whenever it is read. */
  readonly expiresAt?: Date | undefined;
  /** The caller's own embedding of the whole text. */
  readonly vector?: Float32Array | undefined;
}

export interface AddMemories extends ClaimedUser {
  readonly memories: readonly NewMemory[];
  /** As what the caller sent them: a fault of one is named by that. */
  readonly sentAs: "memories" | "messages";
}

/** Messages become memories of their run. @throws InvalidArgumentError with the path of the fault, as all parsers here */
export function parseAdd(message: wire.AddRequest): AddMemories {
  const sentAs = message.messages.length > 0 ? "messages" : "memories";
  const memories = sentAs === "messages" ? parseConversation(message) : parseMemories(message);
  return Object.freeze({ memories: Object.freeze(memories), sentAs, userId: parseUserId(message.userId) });
}

/** One new memory; both services parse it so. */
export function parseNewMemory(message: wire.NewMemory, field: string): NewMemory {
  const at = (name: string) => memberPath(field, name);
  return Object.freeze({
    text: boundedText(message.text, at("text"), LIMITS.textCharacters),
    key: optionalText(message.key, at("key"), LIMITS.keyCharacters),
    agentId: optionalLabel(message.agentId, at("agent_id")),
    runId: optionalLabel(message.runId, at("run_id")),
    role: optionalLabel(message.role, at("role")),
    source: optionalLabel(message.source, at("source")),
    tags: parseTags(message.tags, at("tags")),
    metadata: message.metadata && parseMetadata(message.metadata, at("metadata")),
    occurredAt: message.occurredAt && fromTimestamp(message.occurredAt, at("occurred_at")),
    expiresAt: message.expiresAt && fromTimestamp(message.expiresAt, at("expires_at")),
    vector: message.vector && decodeVector(message.vector, at("vector")),
  });
}

/** No two of them may have one key: which should win? */
export function requireDistinctKeys(memories: readonly Pick<NewMemory, "key">[]): void {
  const seen = new Set<string>();
  for (const [i, { key }] of memories.entries()) {
    if (key === undefined) continue;
    if (seen.has(key)) throw new InvalidArgumentError(`${elementPath("memories", i)}.key`, "must not be that of an earlier memory in the same call");
    seen.add(key);
  }
}

/** In the caller's order, each once. */
export function parseTags(tags: readonly string[], field: string): readonly string[] {
  const checked = bounded(tags, field, 0, LIMITS.tags).map((tag, i) => boundedText(tag, elementPath(field, i), LIMITS.tagCharacters));
  return Object.freeze([...new Set(checked)]);
}

function parseMemories({ memories, runId, agentId }: wire.AddRequest): NewMemory[] {
  if (runId !== undefined) throw new InvalidArgumentError("run_id", "belongs to messages; of memories, set it in each");
  if (agentId !== undefined) throw new InvalidArgumentError("agent_id", "belongs to messages; of memories, set it in each");
  const parsed = bounded(memories, "memories", 1, LIMITS.memoriesPerCall).map((memory, i) => parseNewMemory(memory, elementPath("memories", i)));
  requireDistinctKeys(parsed);
  return parsed;
}

function parseConversation({ messages, memories, runId, agentId }: wire.AddRequest): NewMemory[] {
  if (memories.length > 0) throw new InvalidArgumentError("messages", "cannot be sent with memories");
  if (runId === undefined) throw new InvalidArgumentError("run_id", "is required with messages");
  const run = { runId: optionalLabel(runId, "run_id"), agentId: optionalLabel(agentId, "agent_id") };
  return bounded(messages, "messages", 1, LIMITS.memoriesPerCall).map(({ content, ...message }, i) => {
    const field = elementPath("messages", i);
    const text = boundedText(content, memberPath(field, "content"), LIMITS.textCharacters);
    return parseNewMemory({ ...message, ...run, text, tags: [], metadata: message.metadata, occurredAt: message.occurredAt }, field);
  });
}
