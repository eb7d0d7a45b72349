import type { UserHash } from "@memseal/crypto";
import type { TenantKeyRecord } from "@memseal/keys";
import type pg from "pg";
import { insertTenantKey } from "./tenant-key-store.js";
import type { TenantDatabase, TenantTransaction } from "./tenant-transaction.js";

/** What a search must know before it trusts an index: one round trip. */
export interface TenantState {
  seq: number;
  epoch: number;
  active: boolean;
  generation: number;
  tombstoneFloor: number;
}

export interface EmbeddingGeneration {
  generation: number;
  model: string;
  dimension: number;
  chunker: string;
}

/** The generation that searches read and writes go to. */
export interface ActiveGeneration extends EmbeddingGeneration {
  /** The tenant's, in the same moment. */
  epoch: number;
}

export interface SealedMemory {
  id: string;
  rowVersion: number;
  textCipher: Buffer;
  metaCipher: Buffer;
  createdAt: Date;
  updatedAt: Date;
  /** The tenant's in the same moment: keys of an older one may not open it. */
  epoch: number;
}

export interface SealedChunk {
  memoryId: string;
  generation: number;
  chunkNo: number;
  rowVersion: number;
  embCipher: Buffer;
}

/** A memory to be stored: sealed for this id, generation and row version already. */
export interface NewSealedMemory {
  id: string;
  rowVersion: number;
  textCipher: Buffer;
  metaCipher: Buffer;
  chunks: readonly { chunkNo: number; embCipher: Buffer }[];
}

/** What a write's own row lock gave it. */
export interface WriteTurn {
  seq: number;
  epoch: number;
  generation: number;
  at: Date;
}

export interface Changes {
  /** What the tenant had reached in the same moment. */
  seq: number;
  epoch: number;
  tombstoneFloor: number;
  memories: SealedMemory[];
  chunks: SealedChunk[];
  deletedIds: string[];
}

/** Every statement on tenants' rows. Each names the tenant as well as relying on the policy. */
export class MemoryStore {
  /** The tenant's state, or undefined before its first write. */
  async readState(database: TenantDatabase, tenant: UserHash): Promise<TenantState | undefined> {
    const rows = await database.queryAsTenant<TenantStateRow>(
      tenant,
      `SELECT user_hash, seq, epoch, state, generation, tombstone_floor FROM memseal.tenant WHERE user_hash = decode('${tenant}', 'hex')`,
    );
    const [row] = rows;
    return row && {
      seq: Number(row.seq),
      epoch: row.epoch,
      active: row.state === "active",
      generation: row.generation,
      tombstoneFloor: Number(row.tombstone_floor),
    };
  }

  /** Makes the tenant with its first keys and embedding generation; does nothing where it exists. */
  async createTenant(tx: TenantTransaction, keys: readonly TenantKeyRecord[], embedding: EmbeddingGeneration): Promise<void> {
    const made = await tx.query(
      "INSERT INTO memseal.tenant (user_hash, generation) VALUES ($1, $2) ON CONFLICT (user_hash) DO NOTHING",
      [tx.userHash, embedding.generation],
    );
    if (made.rowCount === 0) return;
    for (const key of keys) await insertTenantKey(tx, key);
    await tx.query(
      `INSERT INTO memseal.embedding_generation (user_hash, generation, model, dimension, chunker, state)
       VALUES ($1, $2, $3, $4, $5, 'active')`,
      [tx.userHash, embedding.generation, embedding.model, embedding.dimension, embedding.chunker],
    );
  }

  /** The generation that searches read, or undefined before the tenant's first write. */
  async readActiveGeneration(tx: TenantTransaction): Promise<ActiveGeneration | undefined> {
    const { rows } = await tx.query<ActiveGeneration>(
      `SELECT user_hash, t.epoch, g.generation, g.model, g.dimension, g.chunker
       FROM memseal.tenant AS t JOIN memseal.embedding_generation AS g USING (user_hash, generation)
       WHERE t.user_hash = $1`,
      [tx.userHash],
    );
    const [row] = rows;
    return row && { epoch: row.epoch, generation: row.generation, model: row.model, dimension: row.dimension, chunker: row.chunker };
  }

  /** Names the model of a generation whose vectors all came from callers so far; false where it has another by now. */
  async nameModel(tx: TenantTransaction, { generation, model }: Pick<EmbeddingGeneration, "generation" | "model">): Promise<boolean> {
    const named = await tx.query(
      "UPDATE memseal.embedding_generation SET model = $3 WHERE user_hash = $1 AND generation = $2 AND model IN ('', $3)",
      [tx.userHash, generation, model],
    );
    return named.rowCount === 1;
  }

  /**
   * Takes the tenant's row lock and the next seq, so that commit order is seq order. Everything slow comes before.
   * Undefined when the tenant is not there or not active.
   */
  async takeTurn(tx: TenantTransaction): Promise<WriteTurn | undefined> {
    const { rows } = await tx.query<{ seq: string; epoch: number; generation: number; at: Date }>(
      `UPDATE memseal.tenant SET seq = seq + 1 WHERE user_hash = $1 AND state = 'active'
       RETURNING user_hash, seq, epoch, generation, date_trunc('milliseconds', clock_timestamp()) AS at`,
      [tx.userHash],
    );
    const [row] = rows;
    return row && { seq: Number(row.seq), epoch: row.epoch, generation: row.generation, at: row.at };
  }

  /** Keeps the tenant's totals, which quotas are checked against. */
  async addToTotals(tx: TenantTransaction, { memories, bytes }: { memories: number; bytes: number }): Promise<void> {
    await tx.query(
      "UPDATE memseal.tenant SET memory_count = memory_count + $2, byte_count = byte_count + $3 WHERE user_hash = $1",
      [tx.userHash, memories, bytes],
    );
  }

  /** One statement a table, however many memories. */
  async insertMemories(tx: TenantTransaction, turn: WriteTurn, memories: readonly NewSealedMemory[]): Promise<void> {
    await tx.query(
      `INSERT INTO memseal.memory (user_hash, id, seq, row_version, text_cipher, meta_cipher, created_at, updated_at)
       SELECT $1, m.id, $2, m.row_version, m.text_cipher, m.meta_cipher, $3, $3
       FROM (VALUES ${placeholders(memories.length, ["uuid", "integer", "bytea", "bytea"], 4)}) AS m (id, row_version, text_cipher, meta_cipher)`,
      [tx.userHash, turn.seq, turn.at, ...memories.flatMap((memory) => [memory.id, memory.rowVersion, memory.textCipher, memory.metaCipher])],
    );
    const chunks = memories.flatMap((memory) => memory.chunks.map((chunk) => [memory.id, chunk.chunkNo, memory.rowVersion, chunk.embCipher]));
    await tx.query(
      `INSERT INTO memseal.chunk (user_hash, seq, generation, memory_id, chunk_no, row_version, emb_cipher)
       SELECT $1, $2, $3, c.memory_id, c.chunk_no, c.row_version, c.emb_cipher
       FROM (VALUES ${placeholders(chunks.length, ["uuid", "integer", "integer", "bytea"], 4)}) AS c (memory_id, chunk_no, row_version, emb_cipher)`,
      [tx.userHash, turn.seq, turn.generation, ...chunks.flat()],
    );
  }

  /** Deletes a memory with its chunks and leaves a tombstone; returns the bytes of what is gone, or undefined where it is absent. */
  async deleteMemory(tx: TenantTransaction, turn: WriteTurn, id: string): Promise<{ bytes: number } | undefined> {
    const memory = await tx.query<{ bytes: number }>(
      "DELETE FROM memseal.memory WHERE user_hash = $1 AND id = $2 RETURNING user_hash, octet_length(text_cipher) + octet_length(meta_cipher) AS bytes",
      [tx.userHash, id],
    );
    if (memory.rowCount === 0) return undefined;
    const chunks = await tx.query<{ bytes: number }>(
      "DELETE FROM memseal.chunk WHERE user_hash = $1 AND memory_id = $2 RETURNING user_hash, octet_length(emb_cipher) AS bytes",
      [tx.userHash, id],
    );
    await tx.query("INSERT INTO memseal.memory_tombstone (user_hash, id, seq, deleted_at) VALUES ($1, $2, $3, $4)", [tx.userHash, id, turn.seq, turn.at]);
    return { bytes: [...memory.rows, ...chunks.rows].reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  /** Those of the ids that exist, in no order. */
  async readMemories(tx: TenantTransaction, ids: readonly string[]): Promise<SealedMemory[]> {
    const { rows } = await tx.query<SealedMemoryRow>(`${SELECT_MEMORY} WHERE user_hash = $1 AND id = ANY ($2::uuid[])`, [tx.userHash, ids]);
    return rows.map(toSealedMemory);
  }

  /** Newest first, older than `before`. */
  async listMemories(tx: TenantTransaction, { before, limit }: { before: string | undefined; limit: number }): Promise<SealedMemory[]> {
    const { rows } = await tx.query<SealedMemoryRow>(
      `${SELECT_MEMORY} WHERE user_hash = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`,
      [tx.userHash, before, limit],
    );
    return rows.map(toSealedMemory);
  }

  /** Everything newer than a seq, of one generation; from 0, everything there is. In a snapshot transaction. */
  async changesSince(tx: TenantTransaction, { seq, generation }: { seq: number; generation: number }): Promise<Changes> {
    const tenant = await tx.query<{ seq: string; epoch: number; tombstone_floor: string }>("SELECT user_hash, seq, epoch, tombstone_floor FROM memseal.tenant WHERE user_hash = $1", [tx.userHash]);
    const memories = await tx.query<SealedMemoryRow>(`${SELECT_MEMORY} WHERE user_hash = $1 AND seq > $2 ORDER BY seq, id`, [tx.userHash, seq]);
    const chunks = await tx.query<SealedChunkRow>(
      `SELECT user_hash, memory_id, generation, chunk_no, row_version, emb_cipher FROM memseal.chunk
       WHERE user_hash = $1 AND generation = $2 AND seq > $3 ORDER BY memory_id, chunk_no`,
      [tx.userHash, generation, seq],
    );
    const tombstones = await tx.query<{ id: string }>("SELECT user_hash, id FROM memseal.memory_tombstone WHERE user_hash = $1 AND seq > $2", [tx.userHash, seq]);
    return {
      seq: Number(tenant.rows[0]?.seq ?? 0),
      epoch: tenant.rows[0]?.epoch ?? 0,
      tombstoneFloor: Number(tenant.rows[0]?.tombstone_floor ?? 0),
      memories: memories.rows.map(toSealedMemory),
      chunks: chunks.rows.map((row) => ({
        memoryId: row.memory_id,
        generation: row.generation,
        chunkNo: row.chunk_no,
        rowVersion: row.row_version,
        embCipher: row.emb_cipher,
      })),
      deletedIds: tombstones.rows.map(({ id }) => id),
    };
  }
}

interface TenantStateRow extends pg.QueryResultRow {
  seq: string;
  epoch: number;
  state: string;
  generation: number;
  tombstone_floor: string;
}

interface SealedMemoryRow {
  id: string;
  row_version: number;
  text_cipher: Buffer;
  meta_cipher: Buffer;
  created_at: Date;
  updated_at: Date;
  epoch: number;
}

interface SealedChunkRow {
  memory_id: string;
  generation: number;
  chunk_no: number;
  row_version: number;
  emb_cipher: Buffer;
}

const SELECT_MEMORY = `SELECT user_hash, id, row_version, text_cipher, meta_cipher, created_at, updated_at,
  (SELECT epoch FROM memseal.tenant WHERE user_hash = $1) AS epoch FROM memseal.memory`;

function toSealedMemory(row: SealedMemoryRow): SealedMemory {
  return {
    id: row.id,
    rowVersion: row.row_version,
    textCipher: row.text_cipher,
    metaCipher: row.meta_cipher,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    epoch: row.epoch,
  };
}

/** `($4::uuid, $5::integer), ($6::uuid, ...` for a VALUES list. */
function placeholders(rows: number, types: readonly string[], first: number): string {
  return Array.from({ length: rows }, (_row, r) => `(${types.map((type, c) => `$${first + r * types.length + c}::${type}`).join(", ")})`).join(", ");
}
