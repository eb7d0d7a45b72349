import { InvalidArgumentError } from "@memseal/errors";
import type { Filter } from "@memseal/retrieval";
import { elementPath } from "./field-path.js";
import { parseFilter } from "./filter-to-domain.js";
import type * as wire from "./generated/memseal/indexer/v1/indexer.js";
import { LIMITS } from "./limits.js";
import { storable } from "./text.js";
import { parseNewMemory, type NewMemory } from "./to-domain.js";
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
}

export interface PutCommand {
  readonly memories: readonly MemoryToPut[];
  /** Empty where callers brought every vector. */
  readonly model: string;
  /** Of every vector in the command. */
  readonly dimension: number;
}

export interface IndexerSearchQuery {
  readonly query: string;
  readonly vector?: Float32Array | undefined;
  readonly filter?: Filter | undefined;
  /** How many of the best memories to open. */
  readonly candidates: number;
}

/** @throws InvalidArgumentError with the path of the fault, as all parsers here */
export function parsePut(message: wire.PutRequest): PutCommand {
  const { memories, model } = message;
  if (memories.length < 1 || memories.length > LIMITS.memoriesPerCall) {
    throw new InvalidArgumentError("memories", `must have 1 to ${LIMITS.memoriesPerCall} items`);
  }
  const chunkCount = memories.reduce((sum, { chunks }) => sum + chunks.length, 0);
  if (chunkCount > LIMITS.chunksPerCall) {
    throw new InvalidArgumentError("memories", `make ${chunkCount} chunks; at most ${LIMITS.chunksPerCall} fit in a call: send fewer or shorter memories`);
  }
  const parsed = memories.map((memory, i) => parsePutMemory(memory, elementPath("memories", i)));
  const dimension = parsed[0]?.chunks[0]?.vector.length ?? 0;
  for (const [i, { chunks }] of parsed.entries()) {
    if (chunks.some(({ vector }) => vector.length !== dimension)) {
      throw new InvalidArgumentError(`memories[${i}].vector`, `must have ${dimension} values, as the first vector of the call has`);
    }
  }
  return { memories: parsed, model: storable(model, "model"), dimension };
}

/** candidates: 1 to 100. */
export function parseIndexerSearch(message: wire.SearchRequest): IndexerSearchQuery {
  if (message.candidates < 1 || message.candidates > LIMITS.topK) throw new InvalidArgumentError("candidates", `must be from 1 to ${LIMITS.topK}`);
  return {
    query: storable(message.query, "query"),
    vector: message.vector && decodeVector(message.vector, "vector"),
    filter: message.filters && parseFilter(message.filters, "filters"),
    candidates: message.candidates,
  };
}

export function parseResolveKey({ keyId, secretHash }: wire.ResolveKeyRequest): { keyId: string; secretHash: Buffer } {
  if (secretHash.length !== 32) throw new InvalidArgumentError("secret_hash", "must have 32 bytes");
  return { keyId: storable(keyId, "key_id"), secretHash };
}

function parsePutMemory({ chunks, ...memory }: wire.PutMemory, field: string): MemoryToPut {
  if (chunks.length === 0) throw new InvalidArgumentError(`${field}.chunks`, "must not be empty");
  return {
    content: parseNewMemory(memory, field),
    chunks: chunks.map(({ start, end, vector }, i) => {
      if (start >= end || end > LIMITS.textCharacters) throw new InvalidArgumentError(`${field}.chunks[${i}]`, "must span at least one character of the text");
      return { start, end, vector: decodeVector(vector, `${field}.chunks[${i}].vector`) };
    }),
  };
}
