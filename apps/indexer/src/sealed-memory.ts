import { toTimestamp, fromTimestamp, SealedMetadata, type Memory } from "@memseal/contracts/indexer";
import { chunkRowId, encodeEmbedding, decodeEmbedding, FIELD, open, seal, uuidBytes, type ChunkEmbedding, type Keyring, type UserHash } from "@memseal/crypto";
import type { NewSealedMemory, SealedChunk, SealedMemory } from "@memseal/storage";

/** What a caller gave of a memory. */
export interface MemoryContent {
  text: string;
  agentId?: string | undefined;
  role?: string | undefined;
  source?: string | undefined;
  tags: readonly string[];
  metadata?: Readonly<Record<string, unknown>> | undefined;
  occurredAt?: Date | undefined;
}

/** Who and under which keys: the two things every seal and open needs. */
export interface TenantSeal {
  tenant: UserHash;
  keyring: Keyring;
}

/** Seals a new memory and its chunks for one id and generation. */
export function sealMemory(content: MemoryContent, chunks: readonly ChunkEmbedding[], { tenant, keyring }: TenantSeal, at: { id: string; generation: number }): NewSealedMemory {
  const rowVersion = 1;
  const rowId = uuidBytes(at.id);
  const metadata = SealedMetadata.encode({
    agentId: content.agentId,
    role: content.role,
    source: content.source,
    tags: [...content.tags],
    metadata: content.metadata,
    occurredAt: content.occurredAt && toTimestamp(content.occurredAt),
  }).finish();
  return {
    id: at.id,
    rowVersion,
    textCipher: seal(Buffer.from(content.text, "utf8"), keyring, { tenant, rowId, field: FIELD.text, rowVersion }),
    metaCipher: seal(metadata, keyring, { tenant, rowId, field: FIELD.metadata, rowVersion }),
    chunks: chunks.map((chunk, chunkNo) => ({
      chunkNo,
      embCipher: seal(encodeEmbedding(chunk), keyring, { tenant, rowId: chunkRowId(at.id, at.generation, chunkNo), field: FIELD.embedding, rowVersion }),
    })),
  };
}

/** @throws OpenError unless both columns belong to this tenant, row and version */
export function openMemory(row: SealedMemory, { tenant, keyring }: TenantSeal): MemoryContent {
  const { rowVersion } = row;
  const rowId = uuidBytes(row.id);
  const text = open(row.textCipher, keyring, { tenant, rowId, field: FIELD.text, rowVersion }).toString("utf8");
  const { occurredAt, ...metadata } = SealedMetadata.decode(open(row.metaCipher, keyring, { tenant, rowId, field: FIELD.metadata, rowVersion }));
  return { text, ...metadata, occurredAt: occurredAt && fromTimestamp(occurredAt, "occurred_at") };
}

/** @throws OpenError unless the chunk belongs to this tenant, memory, generation, number and version */
export function openChunk(chunk: SealedChunk, { tenant, keyring }: TenantSeal): ChunkEmbedding {
  const rowId = chunkRowId(chunk.memoryId, chunk.generation, chunk.chunkNo);
  return decodeEmbedding(open(chunk.embCipher, keyring, { tenant, rowId, field: FIELD.embedding, rowVersion: chunk.rowVersion }));
}

/** The memory as callers see it. */
export function toMessage(row: SealedMemory, content: MemoryContent): Memory {
  return {
    id: row.id,
    text: content.text,
    agentId: content.agentId,
    role: content.role,
    source: content.source,
    tags: [...content.tags],
    metadata: content.metadata,
    occurredAt: toTimestamp(content.occurredAt ?? row.createdAt),
    createdAt: toTimestamp(row.createdAt),
    updatedAt: toTimestamp(row.updatedAt),
    version: row.rowVersion,
  };
}
