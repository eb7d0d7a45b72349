import { codePointLength, encodeVector, LIMITS, speakerOf, toTimestamp, type AddMemories, type AddResponse, type NewMemory } from "@memseal/contracts";
import type { Chunk, PutMemory } from "@memseal/contracts/indexer";
import { AppError, InvalidArgumentError } from "@memseal/errors";
import type { TenantCall } from "./call.js";
import type { IndexerClient, Written } from "./indexer-client.js";
import { tooManyChunks, type RerankerClient } from "./reranker-client.js";

export interface AddParts {
  indexer: Pick<IndexerClient, "put">;
  embedder: Pick<RerankerClient, "embedDocuments">;
}

/**
 * The write path: embed what has no vector, then put everything or nothing.
 * @throws UnavailableError when a vector is missing and there is no embedder: nothing was stored
 */
export async function addMemories({ indexer, embedder }: AddParts, call: TenantCall, { memories, sentAs }: AddMemories): Promise<Written<AddResponse>> {
  const bare = memories.filter(({ vector }) => vector === undefined);
  const { model, documents } =
    bare.length === 0
      ? { model: "", documents: [] }
      : await embedder.embedDocuments(call, { documents: bare.map((memory) => ({ text: memory.text, speaker: speakerOf(memory) })) }, sentAs);
  const embedded = documents[0]?.windows[0]?.vector.length;
  for (const [i, { vector }] of memories.entries()) {
    // Said here: the indexer, which sees vectors alone, could name a memory whose caller sent none.
    if (vector !== undefined && embedded !== undefined && vector.byteLength !== embedded) {
      throw new InvalidArgumentError(`${sentAs}[${i}].vector`, `must have ${embedded / vector.BYTES_PER_ELEMENT} values, as the embedder makes of the call's other memories`);
    }
  }
  const windows = documents.values();
  const chunks = memories.map(({ text, vector }) => (vector === undefined ? (windows.next().value?.windows ?? []) : [wholeText(text, vector)]));
  if (chunks.flat().length > LIMITS.chunksPerCall) throw tooManyChunks(sentAs);
  try {
    return await indexer.put(call, { memories: memories.map((memory, i) => toPutMemory(memory, chunks[i] ?? [])), model });
  } catch (error) {
    throw asSent(error, sentAs);
  }
}

/** To the indexer all are memories: a fault of a message is named by the path that its caller sent. */
function asSent(error: unknown, sentAs: AddMemories["sentAs"]): unknown {
  if (!(error instanceof AppError) || error.code !== "invalid_argument" || error.field === undefined) return error;
  const field = error.field.replace(/^memories\b/, sentAs);
  return field === error.field ? error : new InvalidArgumentError(field, error.message.slice(`${error.field}: `.length));
}

/** A caller's own vector is of the whole text. */
export function wholeText(text: string, vector: Float32Array): Chunk {
  return { start: 0, end: codePointLength(text), vector: encodeVector(vector) };
}

function toPutMemory({ text, key, agentId, runId, role, source, tags, metadata, occurredAt, expiresAt, vector }: NewMemory, chunks: Chunk[]): PutMemory {
  return {
    text,
    key,
    agentId,
    runId,
    role,
    source,
    tags: [...tags],
    metadata,
    occurredAt: occurredAt && toTimestamp(occurredAt),
    expiresAt: expiresAt && toTimestamp(expiresAt),
    chunks,
    ownVector: vector !== undefined,
  };
}
