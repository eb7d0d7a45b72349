import type { UserHash } from "@memseal/crypto";
import type { TenantKeyRecord } from "@memseal/keys";
import type pg from "pg";
import { insertTenantKey } from "./tenant-key-store.js";
import type { TenantDatabase, TenantTransaction } from "./tenant-transaction.js";

export type TenantStatus = "active" | "erasing" | "erased";

/** What a search must know before it trusts an index: one round trip. */
export interface TenantState {
  seq: number;
  epoch: number;
  status: TenantStatus;
  generation: number;
  tombstoneFloor: number;
  /** The database's clock: what expires by it is gone for every indexer alike. */
  now: Date;
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
  status: TenantStatus;
}

/** What a write's own row lock gave it. */
export interface WriteTurn {
  seq: number;
  epoch: number;
  generation: number;
  /** The database's clock, in whole milliseconds. */
  at: Date;
  /** Before this write. */
  memoryCount: number;
  byteCount: number;
}

/** What the writes of a turn change about the tenant as a whole. */
export interface TurnTotals {
  memories: number;
  bytes: number;
  /** When something of what was written is due for maintenance. */
  dueAt?: Date | undefined;
}

/** The tenant's own row, and the generations of its embeddings. */
export class TenantStore {
  /** The tenant's state, or undefined before its first write. */
  async readState(database: TenantDatabase, tenant: UserHash): Promise<TenantState | undefined> {
    const own = database.statementsOf(tenant);
    const { rows: [row] } = await own.query<TenantStateRow>(
      "SELECT user_hash, seq, epoch, state, generation, tombstone_floor, now() AS now FROM memseal.tenant WHERE user_hash = $1",
      [own.userHash],
    );
    return row && {
      seq: Number(row.seq),
      epoch: row.epoch,
      status: row.state,
      generation: row.generation,
      tombstoneFloor: Number(row.tombstone_floor),
      now: row.now,
    };
  }

  /**
   * Makes the tenant with its first keys and embedding generation, or gives an erased one new ones; does nothing where it
   * is active. False where it is neither: its rows are still being erased.
   */
  async open(tx: TenantTransaction, keys: readonly TenantKeyRecord[], embedding: Omit<EmbeddingGeneration, "generation">): Promise<boolean> {
    const made = await tx.query<{ generation: number }>(
      `INSERT INTO memseal.tenant AS t (user_hash, generation) VALUES ($1, 1)
       ON CONFLICT (user_hash) DO UPDATE SET state = 'active', epoch = t.epoch + 1, generation = t.generation + 1 WHERE t.state = 'erased'
       RETURNING user_hash, generation`,
      [tx.userHash],
    );
    const [tenant] = made.rows;
    if (tenant === undefined) {
      const { rows } = await tx.query<{ state: TenantStatus }>("SELECT user_hash, state FROM memseal.tenant WHERE user_hash = $1", [tx.userHash]);
      return rows[0]?.state === "active";
    }
    for (const key of keys) await insertTenantKey(tx, key);
    await insertActiveGeneration(tx, { ...embedding, generation: tenant.generation });
    return true;
  }

  /** The generation that searches read, or undefined before the tenant's first write. */
  async readActiveGeneration(database: TenantDatabase, tenant: UserHash): Promise<ActiveGeneration | undefined> {
    const own = database.statementsOf(tenant);
    const { rows: [row] } = await own.query<ActiveGenerationRow>(
      `SELECT user_hash, t.epoch, t.state, g.generation, g.model, g.dimension, g.chunker
       FROM memseal.tenant AS t JOIN memseal.embedding_generation AS g USING (user_hash, generation) WHERE user_hash = $1`,
      [own.userHash],
    );
    return row && { epoch: row.epoch, status: row.state, generation: row.generation, model: row.model, dimension: row.dimension, chunker: row.chunker };
  }

  /**
   * Begins the next generation of a tenant that has no memory, so that nothing has a vector of the one before. Undefined where it
   * has one, or another generation by now.
   */
  async beginGeneration(tx: TenantTransaction, before: number, embedding: Omit<EmbeddingGeneration, "generation">): Promise<number | undefined> {
    // Locked first, looked at after: a write that was under way has then been seen.
    const locked = await tx.query("SELECT user_hash FROM memseal.tenant WHERE user_hash = $1 AND generation = $2 AND state = 'active' FOR UPDATE", [tx.userHash, before]);
    if (locked.rowCount !== 1) return undefined;
    const memories = await tx.query("SELECT user_hash FROM memseal.memory WHERE user_hash = $1 LIMIT 1", [tx.userHash]);
    if (memories.rowCount !== 0) return undefined;
    const generation = before + 1;
    await tx.query("UPDATE memseal.embedding_generation SET state = 'retired' WHERE user_hash = $1 AND generation = $2", [tx.userHash, before]);
    await insertActiveGeneration(tx, { ...embedding, generation });
    await tx.query("UPDATE memseal.tenant SET generation = $2 WHERE user_hash = $1", [tx.userHash, generation]);
    return generation;
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
    const { rows } = await tx.query<WriteTurnRow>(
      `UPDATE memseal.tenant SET seq = seq + 1 WHERE user_hash = $1 AND state = 'active'
       RETURNING user_hash, seq, epoch, generation, memory_count, byte_count, date_trunc('milliseconds', clock_timestamp()) AS at`,
      [tx.userHash],
    );
    const [row] = rows;
    return row && {
      seq: Number(row.seq),
      epoch: row.epoch,
      generation: row.generation,
      at: row.at,
      memoryCount: Number(row.memory_count),
      byteCount: Number(row.byte_count),
    };
  }

  /** Keeps the totals, which quotas are checked against, and when maintenance is due next. */
  async settleTurn(tx: TenantTransaction, { memories, bytes, dueAt }: TurnTotals): Promise<void> {
    await tx.query(
      `UPDATE memseal.tenant SET memory_count = memory_count + $2, byte_count = byte_count + $3, next_due_at = LEAST(next_due_at, $4)
       WHERE user_hash = $1`,
      [tx.userHash, memories, bytes, dueAt],
    );
  }

  /** What was deleted up to this seq left no tombstones: an index behind it must be loaded anew. */
  async raiseTombstoneFloor(tx: TenantTransaction, seq: number): Promise<void> {
    await tx.query("UPDATE memseal.tenant SET tombstone_floor = GREATEST(tombstone_floor, $2) WHERE user_hash = $1", [tx.userHash, seq]);
  }

  /**
   * Destroys the tenant's wrapped keys: from the commit on, no running system opens a row of it. Its rows are deleted by
   * maintenance, which is due at once. Returns the ids of the root keys that had wrapped them.
   */
  async destroyKeys(tx: TenantTransaction): Promise<string[]> {
    const { rows } = await tx.query<{ root_key_id: string }>("DELETE FROM memseal.tenant_key WHERE user_hash = $1 RETURNING user_hash, root_key_id", [tx.userHash]);
    await tx.query("UPDATE memseal.embedding_generation SET state = 'retired' WHERE user_hash = $1", [tx.userHash]);
    await tx.query(
      "UPDATE memseal.tenant SET state = 'erasing', epoch = epoch + 1, next_due_at = now() WHERE user_hash = $1",
      [tx.userHash],
    );
    return [...new Set(rows.map((row) => row.root_key_id))];
  }
}

async function insertActiveGeneration(tx: TenantTransaction, { generation, model, dimension, chunker }: EmbeddingGeneration): Promise<void> {
  await tx.query(
    "INSERT INTO memseal.embedding_generation (user_hash, generation, model, dimension, chunker, state) VALUES ($1, $2, $3, $4, $5, 'active')",
    [tx.userHash, generation, model, dimension, chunker],
  );
}

interface TenantStateRow extends pg.QueryResultRow {
  seq: string;
  epoch: number;
  state: TenantStatus;
  generation: number;
  tombstone_floor: string;
  now: Date;
}

interface ActiveGenerationRow extends pg.QueryResultRow {
  epoch: number;
  state: TenantStatus;
  generation: number;
  model: string;
  dimension: number;
  chunker: string;
}

interface WriteTurnRow {
  seq: string;
  epoch: number;
  generation: number;
  at: Date;
  memory_count: string;
  byte_count: string;
}
