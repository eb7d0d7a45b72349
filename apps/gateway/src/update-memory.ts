import { speakerOf, type Memory, type MemoryUpdate, type UpdateRequest } from "@memseal/contracts";
import type { Chunk } from "@memseal/contracts/indexer";
import { AppError } from "@memseal/errors";
import { wholeText } from "./add-memories.js";
import type { TenantCall } from "./call.js";
import type { IndexerClient, Written } from "./indexer-client.js";
import type { RerankerClient } from "./reranker-client.js";

const MAX_ATTEMPTS = 3;

export interface UpdateParts {
  indexer: Pick<IndexerClient, "get" | "update">;
  embedder: Pick<RerankerClient, "embedDocuments">;
}

/** The chunks of a memory once it is changed; none where they stay as they are. */
interface Embedded {
  chunks: Chunk[];
  model: string;
  /** The version they were made of. */
  embeddedVersion?: number | undefined;
}

const UNCHANGED: Embedded = { chunks: [], model: "" };
/** Of no version: the indexer, which knows whose the vectors are and who spoke, refuses it where new ones are needed. */
const PERHAPS_UNCHANGED: Embedded = { ...UNCHANGED, embeddedVersion: 0 };

/**
 * Changes a memory, and embeds it anew where what its vectors are made of changes: its text, or who speaks, unless its vector
 * is the caller's own.
 * @throws UnavailableError when that needs an embedder and there is none: nothing was changed
 */
export async function updateMemory(parts: UpdateParts, call: TenantCall, request: UpdateRequest, update: MemoryUpdate): Promise<Written<Memory>> {
  const changes: UpdateRequest = { ...request, vector: undefined, userId: undefined };
  const write = (embedded: Embedded) => parts.indexer.update(call, { changes, ...embedded });
  const { vector, changes: { text, role, source } } = update;
  if (vector !== undefined && text !== undefined) return write({ chunks: [wholeText(text, vector)], model: "" });
  if (text === undefined && role === undefined && source === undefined) return write(UNCHANGED);
  const written = text === undefined ? await unlessOvertaken(write(PERHAPS_UNCHANGED)) : undefined;
  if (written !== undefined) return written;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const embedded = await embed(parts, call, update);
    const rewritten = await unlessOvertaken(write(embedded));
    if (rewritten !== undefined) return rewritten;
  }
  throw new AppError("aborted", "this memory changes faster than this update; try again");
}

async function embed({ indexer, embedder }: UpdateParts, call: TenantCall, { id, changes }: MemoryUpdate): Promise<Embedded> {
  const before = await indexer.get(call, { id });
  const speaker = speakerOf({ role: changedTo(changes.role, before.role), source: changedTo(changes.source, before.source) });
  const { model, documents } = await embedder.embedDocuments(call, { documents: [{ text: changes.text ?? before.text, speaker }] }, "text");
  return { chunks: documents[0]?.windows ?? [], model, embeddedVersion: before.version };
}

function changedTo(change: string | null | undefined, before: string | undefined): string | undefined {
  return change === undefined ? before : (change ?? undefined);
}

/** Undefined where the memory has no longer the version that was embedded. */
async function unlessOvertaken<T>(written: Promise<T>): Promise<T | undefined> {
  try {
    return await written;
  } catch (error) {
    if (error instanceof AppError && error.code === "aborted" && error.field === "embedded_version") return undefined;
    throw error;
  }
}
