import type { TenantStatements, TenantTransaction } from "./tenant-transaction.js";
import type { WriteTurn } from "./tenant-store.js";

/** A memory's row, as sealed. */
export interface SealedMemory {
  id: string;
  rowVersion: number;
  /** Where it stands in its run. */
  position: number | undefined;
  textCipher: Buffer;
  metaCipher: Buffer;
  createdAt: Date;
  updatedAt: Date;
  expiresAt: Date | undefined;
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

/** What a memory is found by without opening it, and that it is the same version still. */
export interface MemoryRefs {
  id: string;
  rowVersion: number;
  keyRef: Buffer | undefined;
  contentRef: Buffer | undefined;
  runRef: Buffer | undefined;
  position: number | undefined;
  createdAt: Date;
  /** Gone for every reader; only its row is still there. */
  isExpired: boolean;
}

/** A memory to be stored: sealed for this id, generation and row version already. */
export interface NewSealedMemory {
  id: string;
  rowVersion: number;
  keyRef: Buffer | undefined;
  contentRef: Buffer | undefined;
  runRef: Buffer | undefined;
  position: number | undefined;
  expiresAt: Date | undefined;
  textCipher: Buffer;
  metaCipher: Buffer;
  chunks: readonly { chunkNo: number; embCipher: Buffer }[];
}

/** One version of a memory, the current one or an older one. */
export interface SealedVersion {
  rowVersion: number;
  textCipher: Buffer;
  metaCipher: Buffer;
  at: Date;
}

/** What a deletion took away. */
export interface Deleted {
  memories: number;
  /** Of those, what had not expired: what callers were still shown. */
  live: number;
  bytes: number;
}

/** A stretch of a tenant's changes, in the order they were made. */
export interface ChangePage {
  /** What the tenant had reached in the same moment. */
  seq: number;
  epoch: number;
  generation: number;
  tombstoneFloor: number;
  /** As EmbeddingGeneration has it. */
  model: string;
  memories: readonly (SealedMemory & { seq: number })[];
  chunks: readonly SealedChunk[];
  /** Memories deleted since `deletedSince`; present on the last page, which reaches `seq`. */
  deletedIds?: readonly string[];
}

/** Versions of a memory that are kept, the current one included. */
export const KEPT_VERSIONS = 50;

/** How long it is remembered that a memory was deleted: an index that is further behind is loaded anew. */
export const TOMBSTONES_KEPT_MS = 24 * 3_600_000;

/** A tenant's memories with their chunks, versions and tombstones. Each statement names the tenant as well as relying on the policy. */
export class MemoryStore {
  /** One statement a table, however many memories. Their keys, runs and positions must be free. */
  async insertMemories(tx: TenantTransaction, turn: WriteTurn, memories: readonly NewSealedMemory[]): Promise<void> {
    await tx.query(
      `INSERT INTO memseal.memory (user_hash, id, seq, row_version, key_ref, content_ref, run_ref, position, text_cipher, meta_cipher, created_at, updated_at, expires_at)
       SELECT $1, m.id, $2, m.row_version, m.key_ref, m.content_ref, m.run_ref, m.position, ${TEXT_CIPHER}, ${META_CIPHER}, $3, $3, m.expires_at
       FROM ${MEMORY_ROWS}`,
      [tx.userHash, turn.seq, turn.at, ...memoryParameters(memories)],
    );
    await this.#insertChunks(tx, turn, memories);
  }

  /**
   * Replaces memories by their next version, chunks included, and keeps the version before as history. Returns the bytes
   * of the chunks that went, or undefined where one of them is no longer at the version before: nothing may be committed then.
   */
  async updateMemories(tx: TenantTransaction, turn: WriteTurn, memories: readonly NewSealedMemory[]): Promise<{ chunkBytes: number } | undefined> {
    const ids = memories.map(({ id }) => id);
    await tx.query(
      `INSERT INTO memseal.memory_version (user_hash, memory_id, row_version, event, text_cipher, meta_cipher, at)
       SELECT user_hash, id, row_version, CASE WHEN row_version = 1 THEN 'create' ELSE 'update' END, text_cipher, meta_cipher, updated_at
       FROM memseal.memory WHERE user_hash = $1 AND id = ANY ($2::uuid[])`,
      [tx.userHash, ids],
    );
    const updated = await tx.query(
      `UPDATE memseal.memory AS old SET seq = $2, row_version = m.row_version, key_ref = m.key_ref, content_ref = m.content_ref, run_ref = m.run_ref,
         position = m.position, text_cipher = ${TEXT_CIPHER}, meta_cipher = ${META_CIPHER}, updated_at = $3, expires_at = m.expires_at
       FROM ${MEMORY_ROWS}
       WHERE old.user_hash = $1 AND old.id = m.id AND old.row_version = m.row_version - 1`,
      [tx.userHash, turn.seq, turn.at, ...memoryParameters(memories)],
    );
    if (updated.rowCount !== memories.length) return undefined;
    const { rows } = await tx.query<{ bytes: string }>(
      `WITH gone AS (${DELETE_CHUNKS} AND c.memory_id = ANY ($2::uuid[]) RETURNING octet_length(c.emb_cipher) AS bytes)
       SELECT $1::bytea AS user_hash, coalesce(sum(bytes), 0) AS bytes FROM gone`,
      [tx.userHash, ids],
    );
    await this.#insertChunks(tx, turn, memories);
    return { chunkBytes: Number(rows[0]?.bytes) };
  }

  /** Deletes those of the memories that exist, with their chunks and history, and leaves tombstones. */
  async deleteMemories(tx: TenantTransaction, turn: WriteTurn, ids: readonly string[]): Promise<Deleted> {
    return this.#delete(tx, turn, ids);
  }

  /** Deletes every memory. Leaves no tombstones: raise the floor to the turn's seq. */
  async deleteAll(tx: TenantTransaction, turn: WriteTurn): Promise<Deleted> {
    return this.#delete(tx, turn, undefined);
  }

  /** Those of the ids that exist and have not expired, in no order. */
  async readMemories(own: TenantStatements, ids: readonly string[]): Promise<SealedMemory[]> {
    const { rows } = await own.query<SealedMemoryRow>(`${selectMemory(eachOf("memory", "$2::uuid[]", "id"))} AND ${IS_LIVE}`, [own.userHash, ids]);
    return rows.map(toSealedMemory);
  }

  /** Newest first, older than `before`. */
  async listMemories(own: TenantStatements, { before, limit }: { before: string | undefined; limit: number }): Promise<SealedMemory[]> {
    const { rows } = await own.query<SealedMemoryRow>(
      `${selectMemory("memseal.memory")} AND ${IS_LIVE} AND m.id < $2 ORDER BY m.id DESC LIMIT $3`,
      [own.userHash, before ?? AFTER_ALL_IDS, limit],
    );
    return rows.map(toSealedMemory);
  }

  /** A memory's chunks of one generation, in order. */
  async readChunks(tx: TenantTransaction, { id, generation }: { id: string; generation: number }): Promise<SealedChunk[]> {
    const { rows } = await tx.query<SealedChunkRow>(`${SELECT_CHUNK} FROM memseal.chunk WHERE user_hash = $1 AND generation = $2 AND memory_id = $3 ORDER BY chunk_no`, [tx.userHash, generation, id]);
    return rows.map(toSealedChunk);
  }

  /** Versions of a memory before the current one, newest first. */
  async readOlderVersions(tx: TenantTransaction, id: string): Promise<SealedVersion[]> {
    const { rows } = await tx.query<{ row_version: number; text_cipher: Buffer; meta_cipher: Buffer; at: Date }>(
      `SELECT user_hash, row_version, text_cipher, meta_cipher, at FROM memseal.memory_version
       WHERE user_hash = $1 AND memory_id = $2 ORDER BY row_version DESC LIMIT ${KEPT_VERSIONS - 1}`,
      [tx.userHash, id],
    );
    return rows.map((row) => ({ rowVersion: row.row_version, textCipher: row.text_cipher, metaCipher: row.meta_cipher, at: row.at }));
  }

  /** Memories with one of the keys or one of the contents, expired ones too. */
  async findByRefs(tx: TenantTransaction, { keyRefs, contentRefs }: { keyRefs: readonly Buffer[]; contentRefs: readonly Buffer[] }): Promise<MemoryRefs[]> {
    const columns = `SELECT user_hash, id, row_version, key_ref, content_ref, run_ref, position, created_at, NOT ${IS_LIVE} AS is_expired FROM`;
    const { rows } = await tx.query<MemoryRefsRow>(
      `${columns} ${eachOf("memory", "$2::bytea[]", "key_ref")} AS m UNION ${columns} ${eachOf("memory", "$3::bytea[]", "content_ref")} AS m`,
      [tx.userHash, keyRefs, contentRefs],
    );
    return rows.map((row) => ({
      id: row.id,
      rowVersion: row.row_version,
      keyRef: row.key_ref ?? undefined,
      contentRef: row.content_ref ?? undefined,
      runRef: row.run_ref ?? undefined,
      position: row.position ?? undefined,
      createdAt: row.created_at,
      isExpired: row.is_expired,
    }));
  }

  /** Those of the ids that exist and have not expired, with their versions. */
  async readVersions(tx: TenantTransaction, ids: readonly string[]): Promise<Map<string, number>> {
    const { rows } = await tx.query<{ id: string; row_version: number }>(
      `SELECT user_hash, id, row_version FROM ${eachOf("memory", "$2::uuid[]", "id")} AS m WHERE ${IS_LIVE}`,
      [tx.userHash, ids],
    );
    return new Map(rows.map((row) => [row.id, row.row_version]));
  }

  /** Of each run that has any, its greatest position, by the run's reference in hex. */
  async lastPositions(tx: TenantTransaction, runRefs: readonly Buffer[]): Promise<Map<string, number>> {
    const { rows } = await tx.query<{ run_ref: Buffer; position: number }>(
      `SELECT user_hash, run_ref, position FROM unnest($2::bytea[]) AS wanted (ref) CROSS JOIN LATERAL (
         SELECT user_hash, run_ref, position FROM memseal.memory WHERE user_hash = $1 AND run_ref = wanted.ref ORDER BY position DESC LIMIT 1) AS last`,
      [tx.userHash, runRefs],
    );
    return new Map(rows.map((row) => [row.run_ref.toString("hex"), row.position]));
  }

  /** How many memories are there and have not expired. */
  async countMemories(tx: TenantTransaction): Promise<number> {
    const { rows } = await tx.query<{ count: string }>(
      `SELECT $1::bytea AS user_hash, count(*) FROM memseal.memory WHERE user_hash = $1 AND ${IS_LIVE}`,
      [tx.userHash],
    );
    return Number(rows[0]?.count);
  }

  /**
   * Memories changed after a seq, in the order of their changes, with their chunks of one generation; after 0, all there are.
   * At least `limit` of them, where there are so many: all of one seq are on one page. Each page is a snapshot of its own: a
   * memory that changes meanwhile comes again on a later page, and what is deleted meanwhile is named on the last one, if
   * its tombstone is still there (tombstoneFloor).
   */
  async readChanges(
    tx: TenantTransaction,
    { afterSeq, generation, deletedSince, limit }: { afterSeq: number; generation: number; deletedSince: number; limit: number },
  ): Promise<ChangePage> {
    const tenant = await tx.query<{ seq: string; epoch: number; generation: number; tombstone_floor: string; model: string | null }>(
      `SELECT user_hash, t.seq, t.epoch, t.generation, t.tombstone_floor, g.model
       FROM memseal.tenant AS t LEFT JOIN memseal.embedding_generation AS g USING (user_hash, generation) WHERE user_hash = $1`,
      [tx.userHash],
    );
    const { rows } = await tx.query<SealedMemoryRow & { seq: string }>(
      `${selectMemory("memseal.memory")} AND m.seq > $2 ORDER BY m.seq FETCH FIRST $3 ROWS WITH TIES`,
      [tx.userHash, afterSeq, limit],
    );
    const chunks = rows.length === 0 ? [] : (await tx.query<SealedChunkRow>(
      `${SELECT_CHUNK} FROM ${eachOf("chunk", "$3::uuid[]", "memory_id", "AND generation = $2")} AS c ORDER BY memory_id, chunk_no`,
      [tx.userHash, generation, rows.map(({ id }) => id)],
    )).rows;
    const page = {
      seq: Number(tenant.rows[0]?.seq ?? 0),
      epoch: tenant.rows[0]?.epoch ?? 0,
      generation: tenant.rows[0]?.generation ?? 0,
      tombstoneFloor: Number(tenant.rows[0]?.tombstone_floor ?? 0),
      model: tenant.rows[0]?.model ?? "",
      memories: rows.map((row) => ({ ...toSealedMemory(row), seq: Number(row.seq) })),
      chunks: chunks.map(toSealedChunk),
    };
    if (rows.length >= limit) return page;
    const tombstones = await tx.query<{ id: string }>("SELECT user_hash, id FROM memseal.memory_tombstone WHERE user_hash = $1 AND seq > $2", [tx.userHash, deletedSince]);
    return { ...page, deletedIds: tombstones.rows.map(({ id }) => id) };
  }

  async #insertChunks(tx: TenantTransaction, turn: WriteTurn, memories: readonly NewSealedMemory[]): Promise<void> {
    const chunks = memories.flatMap((memory) => memory.chunks.map((chunk) => ({ ...chunk, memoryId: memory.id, rowVersion: memory.rowVersion })));
    const { bytes, ends, lengths } = packed(chunks.map(({ embCipher }) => embCipher));
    await tx.query(
      `INSERT INTO memseal.chunk (user_hash, seq, generation, memory_id, chunk_no, row_version, emb_cipher)
       SELECT $1, $2, $3, c.memory_id, c.chunk_no, c.row_version, ${unpacked("$4", "c.emb_end", "c.emb_length")}
       FROM unnest($5::uuid[], $6::integer[], $7::integer[], $8::integer[], $9::integer[]) AS c (memory_id, chunk_no, row_version, emb_end, emb_length)`,
      [tx.userHash, turn.seq, turn.generation, bytes, chunks.map(({ memoryId }) => memoryId), chunks.map(({ chunkNo }) => chunkNo), chunks.map(({ rowVersion }) => rowVersion), ends, lengths],
    );
  }

  /** All in one statement: what is deleted decides what else goes. */
  async #delete(tx: TenantTransaction, turn: WriteTurn, ids: readonly string[] | undefined): Promise<Deleted> {
    const { rows } = await tx.query<{ memories: string; live: string; bytes: string }>(
      `WITH gone AS (DELETE FROM memseal.memory WHERE user_hash = $1 ${ids === undefined ? "" : "AND id = ANY ($2::uuid[])"}
         RETURNING id, ${IS_LIVE} AS live, octet_length(text_cipher) + octet_length(meta_cipher) AS bytes),
       chunks AS (${DELETE_CHUNKS} ${ids === undefined ? "" : "AND c.memory_id = ANY ($2::uuid[])"} RETURNING octet_length(c.emb_cipher) AS bytes),
       versions AS (DELETE FROM memseal.memory_version WHERE user_hash = $1 ${ids === undefined ? "" : "AND memory_id = ANY ($2::uuid[])"}
         RETURNING octet_length(text_cipher) + octet_length(meta_cipher) AS bytes)
       ${ids === undefined ? "" : `, tombstones AS (INSERT INTO memseal.memory_tombstone (user_hash, id, seq, deleted_at) SELECT $1, id, $3, $4 FROM gone)`}
       SELECT $1::bytea AS user_hash, (SELECT count(*) FROM gone) AS memories, (SELECT count(*) FROM gone WHERE live) AS live,
         (SELECT coalesce(sum(bytes), 0) FROM (SELECT bytes FROM gone UNION ALL SELECT bytes FROM chunks UNION ALL SELECT bytes FROM versions) AS sizes) AS bytes`,
      ids === undefined ? [tx.userHash] : [tx.userHash, ids, turn.seq, turn.at],
    );
    return { memories: Number(rows[0]?.memories), live: Number(rows[0]?.live), bytes: Number(rows[0]?.bytes) };
  }
}

interface SealedMemoryRow {
  id: string;
  row_version: number;
  position: number | null;
  text_cipher: Buffer;
  meta_cipher: Buffer;
  created_at: Date;
  updated_at: Date;
  expires_at: Date | null;
  epoch: number;
}

interface SealedChunkRow {
  memory_id: string;
  generation: number;
  chunk_no: number;
  row_version: number;
  emb_cipher: Buffer;
}

interface MemoryRefsRow {
  id: string;
  row_version: number;
  key_ref: Buffer | null;
  content_ref: Buffer | null;
  run_ref: Buffer | null;
  position: number | null;
  created_at: Date;
  is_expired: boolean;
}

/** Nothing is read of a tenant that is being erased: its keys are gone. */
function selectMemory(from: string): string {
  return `SELECT user_hash, m.id, m.seq, m.row_version, m.position, m.text_cipher, m.meta_cipher, m.created_at, m.updated_at, m.expires_at, t.epoch
    FROM ${from} AS m JOIN memseal.tenant AS t USING (user_hash) WHERE user_hash = $1 AND t.state = 'active'`;
}

/**
 * The tenant's rows in which the column has one of the values, each found by itself in an index. With `= ANY`, before the
 * table was analyzed or where other tenants are much smaller, PostgreSQL reads every row of the tenant instead.
 */
function eachOf(table: "memory" | "chunk", values: string, column: string, and = ""): string {
  return `(SELECT found.* FROM unnest(${values}) AS wanted (value) CROSS JOIN LATERAL (
    SELECT * FROM memseal.${table} WHERE user_hash = $1 ${and} AND ${column} = wanted.value OFFSET 0) AS found)`;
}

/** No uuid v7 is greater. */
const AFTER_ALL_IDS = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/** What has expired is gone for every reader, also before maintenance has deleted it. */
const IS_LIVE = "(expires_at IS NULL OR expires_at > now())";

const SELECT_CHUNK = "SELECT user_hash, memory_id, generation, chunk_no, row_version, emb_cipher";

/** Of every generation. Named one by one, each chunk is found by the primary key. */
const DELETE_CHUNKS = `DELETE FROM memseal.chunk AS c USING memseal.embedding_generation AS g
  WHERE c.user_hash = $1 AND g.user_hash = $1 AND c.generation = g.generation`;

/**
 * Rows to be written come as an array a column, and their ciphertexts as one value that is cut up again: 200 rows as a
 * parameter a value took twice as long.
 */
const MEMORY_ROWS = `unnest($5::uuid[], $6::integer[], $7::bytea[], $8::bytea[], $9::bytea[], $10::integer[], $11::timestamptz[], $12::integer[], $13::integer[], $14::integer[], $15::integer[])
  AS m (id, row_version, key_ref, content_ref, run_ref, position, expires_at, text_end, text_length, meta_end, meta_length)`;
const TEXT_CIPHER = unpacked("$4", "m.text_end", "m.text_length");
const META_CIPHER = unpacked("$4", "m.meta_end", "m.meta_length");

/** Parameters $4 and on of a statement with MEMORY_ROWS. */
function memoryParameters(memories: readonly NewSealedMemory[]): unknown[] {
  const { bytes, ends, lengths } = packed(memories.flatMap(({ textCipher, metaCipher }) => [textCipher, metaCipher]));
  const isText = (_value: number, at: number): boolean => at % 2 === 0;
  const isMeta = (_value: number, at: number): boolean => at % 2 === 1;
  return [
    bytes,
    memories.map(({ id }) => id),
    memories.map(({ rowVersion }) => rowVersion),
    memories.map(({ keyRef }) => keyRef),
    memories.map(({ contentRef }) => contentRef),
    memories.map(({ runRef }) => runRef),
    memories.map(({ position }) => position),
    memories.map(({ expiresAt }) => expiresAt),
    ends.filter(isText),
    lengths.filter(isText),
    ends.filter(isMeta),
    lengths.filter(isMeta),
  ];
}

/** Values end to end, with where each ends. */
function packed(values: readonly Buffer[]): { bytes: Buffer; ends: number[]; lengths: number[] } {
  const lengths = values.map(({ length }) => length);
  let end = 0;
  return { bytes: Buffer.concat(values), ends: lengths.map((length) => (end += length)), lengths };
}

/** SQL of one of the values again. */
function unpacked(bytes: string, end: string, length: string): string {
  return `substring(${bytes}::bytea FROM ${end} - ${length} + 1 FOR ${length})`;
}

function toSealedMemory(row: SealedMemoryRow): SealedMemory {
  return {
    id: row.id,
    rowVersion: row.row_version,
    position: row.position ?? undefined,
    textCipher: row.text_cipher,
    metaCipher: row.meta_cipher,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    expiresAt: row.expires_at ?? undefined,
    epoch: row.epoch,
  };
}

function toSealedChunk(row: SealedChunkRow): SealedChunk {
  return { memoryId: row.memory_id, generation: row.generation, chunkNo: row.chunk_no, rowVersion: row.row_version, embCipher: row.emb_cipher };
}
