import { toTimestamp, fromTimestamp, SealedMetadata, type Memory } from "@memseal/contracts/indexer";
import { chunkRowId, encodeEmbedding, decodeEmbedding, FIELD, open, OpenError, seal, uuidBytes, type ChunkEmbedding, type Keyring, type UserHash } from "@memseal/crypto";
import type { NewSealedMemory, SealedChunk, SealedMemory } from "@memseal/storage";

/** What a caller gave of a memory. */
export interface MemoryContent {
  text: string;
  key?: string | undefined;
  agentId?: string | undefined;
  runId?: string | undefined;
  role?: string | undefined;
  source?: string | undefined;
  tags: readonly string[];
  metadata?: Readonly<Record<string, unknown>> | undefined;
  occurredAt?: Date | undefined;
  expiresAt?: Date | undefined;
  /** Whether the vector is the caller's own; undefined of what releases before stored. */
  hasOwnVector?: boolean | undefined;
}

/** Who and under which keys: the two things every seal and open needs. */
export interface TenantSeal {
  tenant: UserHash;
  keyring: Keyring;
}

/** Where a memory is sealed to. */
export interface SealedAt {
  id: string;
  rowVersion: number;
  generation: number;
}

/** What is sealed of a memory; how it is found again is the caller's to add. */
export type SealedContent = Pick<NewSealedMemory, "id" | "rowVersion" | "textCipher" | "metaCipher" | "chunks" | "expiresAt">;

/** Seals a memory and its chunks for one id, version and generation. */
export function sealMemory(content: MemoryContent, chunks: readonly ChunkEmbedding[], { tenant, keyring }: TenantSeal, { id, rowVersion, generation }: SealedAt): SealedContent {
  const rowId = uuidBytes(id);
  const { text, tags, metadata: given, occurredAt, expiresAt, hasOwnVector, ...rest } = content;
  const metadata = SealedMetadata.encode({
    ...rest,
    tags: [...tags],
    metadata: given,
    occurredAt: occurredAt && toTimestamp(occurredAt),
    expiresAt: expiresAt && toTimestamp(expiresAt),
    ownVector: hasOwnVector,
  }).finish();
  return {
    id,
    rowVersion,
    expiresAt,
    textCipher: seal(Buffer.from(text, "utf8"), keyring, { tenant, rowId, field: FIELD.text, rowVersion }),
    metaCipher: seal(metadata, keyring, { tenant, rowId, field: FIELD.metadata, rowVersion }),
    chunks: chunks.map((chunk, chunkNo) => ({
      chunkNo,
      embCipher: seal(encodeEmbedding(chunk), keyring, { tenant, rowId: chunkRowId(id, generation, chunkNo), field: FIELD.embedding, rowVersion }),
    })),
  };
}

/** Seals that sealMemory makes: one for the text, one for the metadata, one a chunk. */
export function sealsOf(chunkCount: number): number {
  return 2 + chunkCount;
}

/** What the sealed columns take. */
export function sealedBytes(memories: readonly Pick<NewSealedMemory, "textCipher" | "metaCipher" | "chunks">[]): number {
  const bytesOf = ({ textCipher, metaCipher, chunks }: (typeof memories)[number]): number =>
    textCipher.length + metaCipher.length + chunks.reduce((sum, { embCipher }) => sum + embCipher.length, 0);
  return memories.reduce((sum, memory) => sum + bytesOf(memory), 0);
}

/** @throws OpenError unless both columns belong to this tenant, row and version */
export function openMemory(row: Pick<SealedMemory, "id" | "rowVersion" | "textCipher" | "metaCipher">, { tenant, keyring }: TenantSeal): MemoryContent {
  const { rowVersion } = row;
  const rowId = uuidBytes(row.id);
  const text = open(row.textCipher, keyring, { tenant, rowId, field: FIELD.text, rowVersion }).toString("utf8");
  const { occurredAt, expiresAt, ownVector, ...rest } = SealedMetadata.decode(open(row.metaCipher, keyring, { tenant, rowId, field: FIELD.metadata, rowVersion }));
  return {
    text,
    ...rest,
    occurredAt: occurredAt && fromTimestamp(occurredAt, "occurred_at"),
    expiresAt: expiresAt && fromTimestamp(expiresAt, "expires_at"),
    hasOwnVector: ownVector,
  };
}

/**
 * All chunks of a memory, read in the same moment as its row.
 * @throws OpenError where one does not open or is missing: a memory has all of its own
 */
export function openChunks(rows: readonly SealedChunk[], seal: TenantSeal): ChunkEmbedding[] {
  if (rows.length === 0 || rows.some(({ chunkNo }, i) => chunkNo !== i)) throw new OpenError();
  return rows.map((row) => openChunk(row, seal));
}

/** @throws OpenError unless the chunk belongs to this tenant, memory, generation, number and version */
function openChunk(chunk: SealedChunk, { tenant, keyring }: TenantSeal): ChunkEmbedding {
  const rowId = chunkRowId(chunk.memoryId, chunk.generation, chunk.chunkNo);
  return decodeEmbedding(open(chunk.embCipher, keyring, { tenant, rowId, field: FIELD.embedding, rowVersion: chunk.rowVersion }));
}

/** The memory as callers see it. */
export function toMessage(row: Pick<SealedMemory, "id" | "rowVersion" | "position" | "createdAt" | "updatedAt">, content: MemoryContent): Memory {
  const { text, key, agentId, runId, role, source, tags, metadata, occurredAt = row.createdAt, expiresAt } = content;
  return {
    id: row.id,
    text,
    key,
    agentId,
    runId,
    position: row.position,
    role,
    source,
    tags: [...tags],
    metadata,
    occurredAt: toTimestamp(occurredAt),
    createdAt: toTimestamp(row.createdAt),
    updatedAt: toTimestamp(row.updatedAt),
    expiresAt: expiresAt && toTimestamp(expiresAt),
    version: row.rowVersion,
  };
}
