import type { Memory, MemoryChanges, MemoryUpdate, UpdateRequest } from "@memseal/contracts";
import type { Chunk } from "@memseal/contracts/indexer";
import { AppError } from "@memseal/errors";
import { wholeText } from "./add-memories.js";
import type { TenantCall } from "./call.js";
import type { IndexerClient, Written } from "./indexer-client.js";
import { speakerOf } from "./passage-text.js";
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

/**
 * Changes a memory, and embeds it anew where what its vectors are made of changes: its text, or who speaks.
 * @throws UnavailableError when that needs an embedder and there is none: nothing was changed
 */
export async function updateMemory(parts: UpdateParts, call: TenantCall, request: UpdateRequest, update: MemoryUpdate): Promise<Written<Memory>> {
  const changes: UpdateRequest = { ...request, vector: undefined, userId: undefined };
  for (let attempt = 1; ; attempt++) {
    const embedded = await embed(parts, call, update);
    try {
      return await parts.indexer.update(call, { changes, ...embedded });
    } catch (error) {
      if (!isOvertaken(error)) throw error;
      if (attempt === MAX_ATTEMPTS) throw new AppError("aborted", "this memory changes faster than this update; try again");
    }
  }
}

async function embed({ indexer, embedder }: UpdateParts, call: TenantCall, { id, changes, vector }: MemoryUpdate): Promise<Embedded> {
  if (vector !== undefined && changes.text !== undefined) return { chunks: [wholeText(changes.text, vector)], model: "" };
  if (changes.text === undefined && changes.role === undefined && changes.source === undefined) return UNCHANGED;
  const before = await indexer.get(call, { id });
  const speaker = speakerOf(changedSpeaker(before, changes));
  if (changes.text === undefined && speaker === speakerOf(before)) return UNCHANGED;
  const { model, documents } = await embedder.embedDocuments(call, { documents: [{ text: changes.text ?? before.text, speaker }] });
  return { chunks: documents[0]?.windows ?? [], model, embeddedVersion: before.version };
}

const UNCHANGED: Embedded = { chunks: [], model: "" };

function changedSpeaker(before: Memory, { role, source }: MemoryChanges): Pick<Memory, "role" | "source"> {
  return { role: role === undefined ? before.role : (role ?? undefined), source: source === undefined ? before.source : (source ?? undefined) };
}

/** Whether another update came between the reading and the writing. */
function isOvertaken(error: unknown): boolean {
  return error instanceof AppError && error.code === "aborted" && error.field === "embedded_version";
}
