import { InvalidArgumentError } from "@memseal/errors";
import type { Filter } from "@memseal/retrieval";
import { bounded, inRange } from "./bounds.js";
import { elementPath } from "./field-path.js";
import { parseFilter } from "./filter-to-domain.js";
import type * as wire from "./generated/memseal/indexer/v1/indexer.js";
import { LIMITS } from "./limits.js";
import { parseNewMemory, requireDistinctKeys, type NewMemory } from "./memory-to-domain.js";
import { parseSearchScope, type SearchScope } from "./search-to-domain.js";
import { atMostText } from "./text.js";
import { parseUpdate, type MemoryUpdate } from "./update-to-domain.js";
import { decodeVector } from "./vector.js";

/** A span of a memory's text and its embedding. */
export interface ChunkVector {
  /** Code points, end exclusive. */
  readonly start: number;
  readonly end: number;
  readonly vector: Float32Array;
}

export interface MemoryToPut {
  readonly content: Omit<NewMemory, "vector">;
  readonly chunks: readonly ChunkVector[];
  /** Whether the caller made the vector, of the whole text. */
  readonly hasOwnVector: boolean;
}

export interface PutCommand {
  readonly memories: readonly MemoryToPut[];
  /** Empty where callers brought every vector. */
  readonly model: string;
  /** Of every vector in the command. */
  readonly dimension: number;
}

export interface UpdateCommand extends Pick<MemoryUpdate, "id" | "ifMatch" | "changes"> {
  /** Empty: the memory's chunks stay. */
  readonly chunks: readonly ChunkVector[];
  readonly model: string;
  /** The version of the memory that the chunks were made of; 0 where none were made and some may be needed. */
  readonly embeddedVersion?: number | undefined;
}

export interface IndexerSearchQuery extends SearchScope {
  readonly query: string;
  readonly vector?: Float32Array | undefined;
  /** That made the vector; absent where the caller brought it. */
  readonly model?: string | undefined;
  readonly filter?: Filter | undefined;
  /** How many of the best memories to open. */
  readonly candidates: number;
  /** Whether scores hold ranks. */
  readonly explain?: boolean | undefined;
}

/** @throws InvalidArgumentError with the path of the fault, as all parsers here */
export function parsePut(message: wire.PutRequest): PutCommand {
  const memories = bounded(message.memories, "memories", 1, LIMITS.memoriesPerCall);
  const chunkCount = memories.reduce((sum, { chunks }) => sum + chunks.length, 0);
  if (chunkCount > LIMITS.chunksPerCall) {
    throw new InvalidArgumentError("memories", `make ${chunkCount} chunks; at most ${LIMITS.chunksPerCall} fit in a call: send fewer or shorter memories`);
  }
  const model = parseModel(message.model);
  const parsed = memories.map((memory, i) => parsePutMemory(memory, model, elementPath("memories", i)));
  requireDistinctKeys(parsed.map(({ content }) => content));
  const dimension = parsed[0]?.chunks[0]?.vector.length ?? 0;
  for (const [i, { chunks }] of parsed.entries()) {
    if (chunks.some(({ vector }) => vector.length !== dimension)) {
      throw new InvalidArgumentError(`memories[${i}].vector`, `must have ${dimension} values, as the first vector of the call has`);
    }
  }
  return { memories: parsed, model, dimension };
}

/** A new text comes with its chunks. */
export function parseIndexerUpdate({ changes: message, chunks, model, embeddedVersion }: wire.UpdateRequest): UpdateCommand {
  if (message === undefined) throw new InvalidArgumentError("changes", "is required");
  const { id, ifMatch, changes, vector, userId } = parseUpdate(message);
  if (vector !== undefined || userId !== undefined) throw new InvalidArgumentError("changes", "must hold no vector and no user_id");
  if (changes.text !== undefined && chunks.length === 0) throw new InvalidArgumentError("chunks", "must come with a new text");
  return { id, ifMatch, changes, chunks: parseChunks(bounded(chunks, "chunks", 0, LIMITS.chunksPerCall), "chunks"), model: parseModel(model), embeddedVersion };
}

/** candidates: 1 to 100. */
export function parseIndexerSearch(message: wire.SearchRequest): IndexerSearchQuery {
  const scope = parseSearchScope(message);
  if (scope.mode === "dense" && message.vector === undefined) throw new InvalidArgumentError("vector", "is required in mode dense");
  return {
    query: atMostText(message.query, "query", LIMITS.queryCharacters),
    vector: message.vector && decodeVector(message.vector, "vector"),
    model: message.model === undefined ? undefined : parseModel(message.model),
    filter: message.filters && parseFilter(message.filters, "filters"),
    candidates: inRange(message.candidates, "candidates", LIMITS.topK),
    explain: message.explain,
    ...scope,
  };
}

export function parseResolveKey({ keyId, secretHash }: wire.ResolveKeyRequest): { keyId: string; secretHash: Buffer } {
  if (secretHash.length !== 32) throw new InvalidArgumentError("secret_hash", "must have 32 bytes");
  return { keyId: atMostText(keyId, "key_id", LIMITS.labelCharacters), secretHash };
}

function parsePutMemory({ chunks, ownVector, ...memory }: wire.PutMemory, model: string, field: string): MemoryToPut {
  if (chunks.length === 0) throw new InvalidArgumentError(`${field}.chunks`, "must not be empty");
  return {
    content: parseNewMemory(memory, field),
    chunks: parseChunks(chunks, `${field}.chunks`),
    // A gateway of the release before says of no memory whose vector it has.
    hasOwnVector: ownVector === true || model === "",
  };
}

function parseChunks(chunks: readonly wire.Chunk[], field: string): ChunkVector[] {
  return chunks.map(({ start, end, vector }, i) => {
    const path = elementPath(field, i);
    if (start >= end || end > LIMITS.textCharacters) throw new InvalidArgumentError(path, "must span at least one character of the text");
    return { start, end, vector: decodeVector(vector, `${path}.vector`) };
  });
}

function parseModel(model: string): string {
  return atMostText(model, "model", LIMITS.labelCharacters);
}
