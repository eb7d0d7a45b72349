import { InvalidArgumentError } from "@memseal/errors";
import { optionalLabel, optionalText, optionalVersion, parseMemoryId, parseUserId, type ClaimedUser } from "./bounds.js";
import { elementPath } from "./field-path.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { parseTags } from "./memory-to-domain.js";
import { parseMetadata, type Metadata } from "./metadata.js";
import { fromTimestamp } from "./timestamp.js";
import { decodeVector } from "./vector.js";

/** Absent: stays as it is. null: is to have no value. */
export interface MemoryChanges {
  readonly text?: string | undefined;
  readonly agentId?: string | null | undefined;
  readonly role?: string | null | undefined;
  readonly source?: string | null | undefined;
  readonly tags?: readonly string[] | null | undefined;
  readonly metadata?: Metadata | null | undefined;
  readonly occurredAt?: Date | null | undefined;
  readonly expiresAt?: Date | null | undefined;
}

export interface MemoryUpdate extends ClaimedUser {
  readonly id: string;
  /** The version it must still have. */
  readonly ifMatch?: number | undefined;
  readonly changes: MemoryChanges;
  /** The caller's own embedding of the new text. */
  readonly vector?: Float32Array | undefined;
}

/** What can be cleared, by the name callers use. */
const CLEARABLE = {
  agent_id: "agentId",
  role: "role",
  source: "source",
  tags: "tags",
  metadata: "metadata",
  occurred_at: "occurredAt",
  expires_at: "expiresAt",
} as const satisfies Record<string, keyof MemoryChanges>;
type ClearableField = (typeof CLEARABLE)[keyof typeof CLEARABLE];

/** @throws InvalidArgumentError with the path of the fault */
export function parseUpdate(message: wire.UpdateRequest): MemoryUpdate {
  const { id, ifMatch, vector, clear, userId } = message;
  const changes = { ...parseSet(message), ...parseClear(clear, message) };
  if (Object.values(changes).every((value) => value === undefined)) throw new InvalidArgumentError("request", "must change at least one field");
  if (vector !== undefined && changes.text === undefined) throw new InvalidArgumentError("vector", "must come with the text it is of");
  return Object.freeze({
    id: parseMemoryId(id, "id"),
    ifMatch: optionalVersion(ifMatch, "if_match"),
    changes: Object.freeze(changes),
    vector: vector && decodeVector(vector, "vector"),
    userId: parseUserId(userId),
  });
}

function parseSet({ text, agentId, role, source, tags, metadata, occurredAt, expiresAt }: wire.UpdateRequest): MemoryChanges {
  return {
    text: optionalText(text, "text", LIMITS.textCharacters),
    agentId: optionalLabel(agentId, "agent_id"),
    role: optionalLabel(role, "role"),
    source: optionalLabel(source, "source"),
    tags: tags && parseTags(tags.tags, "tags"),
    metadata: metadata && parseMetadata(metadata, "metadata"),
    occurredAt: occurredAt && fromTimestamp(occurredAt, "occurred_at"),
    expiresAt: expiresAt && fromTimestamp(expiresAt, "expires_at"),
  };
}

function parseClear(names: readonly string[], message: wire.UpdateRequest): { readonly [Field in ClearableField]?: null } {
  return Object.fromEntries(names.map((name, i) => {
    const field = elementPath("clear", i);
    if (!isClearable(name)) throw new InvalidArgumentError(field, `must be one of ${Object.keys(CLEARABLE).join(", ")}`);
    if (message[CLEARABLE[name]] !== undefined) throw new InvalidArgumentError(field, "names a field that the request sets");
    return [CLEARABLE[name], null];
  }));
}

function isClearable(name: string): name is keyof typeof CLEARABLE {
  return Object.hasOwn(CLEARABLE, name);
}
