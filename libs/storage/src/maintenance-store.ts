import { ERASURE_REF } from "./idempotency-store.js";
import { KEPT_VERSIONS, TOMBSTONES_KEPT_MS } from "./memory-store.js";
import type { TenantStatus } from "./tenant-store.js";
import type { TenantTransaction } from "./tenant-transaction.js";

/** Tables whose rows an erasure takes away. Audit events stay: they hold nothing that a caller gave. */
const ERASED_TABLES = ["memory", "chunk", "memory_version", "memory_tombstone"] as const;

/** What is due in a tenant, in bounded steps: each may be done twice, or cut off, without harm. Under the tenant's row lock. */
export class MaintenanceStore {
  /**
   * Takes the tenant for this transaction, and its row lock, so that nothing becomes due unseen. Undefined where another
   * process works on it.
   */
  async claim(tx: TenantTransaction): Promise<TenantStatus | undefined> {
    const { rows } = await tx.query<{ claimed: boolean }>(
      "SELECT $1::bytea AS user_hash, pg_try_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 0)) AS claimed",
      [tx.userHash],
    );
    if (!rows[0]?.claimed) return undefined;
    const tenant = await tx.query<{ state: TenantStatus }>("SELECT user_hash, state FROM memseal.tenant WHERE user_hash = $1 FOR UPDATE", [tx.userHash]);
    return tenant.rows[0]?.state;
  }

  /** Memories that have expired, the longest expired first. */
  async expiredIds(tx: TenantTransaction, limit: number): Promise<string[]> {
    const { rows } = await tx.query<{ id: string }>(
      "SELECT user_hash, id FROM memseal.memory WHERE user_hash = $1 AND expires_at <= now() ORDER BY expires_at LIMIT $2",
      [tx.userHash, limit],
    );
    return rows.map(({ id }) => id);
  }

  /** Deletes tombstones that are past their time, oldest first, and raises the floor to what went. Returns how many. */
  async purgeTombstones(tx: TenantTransaction, limit: number): Promise<number> {
    const { rows } = await tx.query<{ count: string }>(
      `WITH gone AS (
         DELETE FROM memseal.memory_tombstone WHERE user_hash = $1 AND id IN (
           SELECT id FROM memseal.memory_tombstone WHERE user_hash = $1 AND deleted_at <= now() - $2 * interval '1 millisecond' ORDER BY seq, id LIMIT $3)
         RETURNING seq),
       raised AS (
         UPDATE memseal.tenant SET tombstone_floor = GREATEST(tombstone_floor, (SELECT max(seq) FROM gone)) WHERE user_hash = $1 AND EXISTS (SELECT FROM gone))
       SELECT $1::bytea AS user_hash, count(*) FROM gone`,
      [tx.userHash, TOMBSTONES_KEPT_MS, limit],
    );
    return Number(rows[0]?.count);
  }

  /** Deletes kept answers that are past their time. Returns how many. */
  async purgeAnswers(tx: TenantTransaction, limit: number): Promise<number> {
    const gone = await tx.query(
      `DELETE FROM memseal.idempotency WHERE user_hash = $1 AND key_ref IN (
         SELECT key_ref FROM memseal.idempotency WHERE user_hash = $1 AND expires_at <= now() LIMIT $2)`,
      [tx.userHash, limit],
    );
    return gone.rowCount ?? 0;
  }

  /** Deletes versions beyond those that are kept. Returns how many, and what they took. */
  async trimHistory(tx: TenantTransaction, limit: number): Promise<{ versions: number; bytes: number }> {
    const { rows } = await tx.query<{ versions: string; bytes: string }>(
      `WITH gone AS (
         DELETE FROM memseal.memory_version WHERE user_hash = $1 AND (memory_id, row_version) IN (
           SELECT v.memory_id, v.row_version FROM memseal.memory AS m JOIN memseal.memory_version AS v ON v.user_hash = m.user_hash AND v.memory_id = m.id
           WHERE m.user_hash = $1 AND m.row_version > ${KEPT_VERSIONS} AND v.row_version <= m.row_version - ${KEPT_VERSIONS} LIMIT $2)
         RETURNING octet_length(text_cipher) + octet_length(meta_cipher) AS bytes)
       SELECT $1::bytea AS user_hash, count(*) AS versions, coalesce(sum(bytes), 0) AS bytes FROM gone`,
      [tx.userHash, limit],
    );
    return { versions: Number(rows[0]?.versions), bytes: Number(rows[0]?.bytes) };
  }

  /** Deletes rows of a tenant whose keys were destroyed, so many of each table at most; the receipt stays. Returns how many; 0 when all are gone. */
  async purgeErased(tx: TenantTransaction, limit: number): Promise<number> {
    let count = 0;
    for (const table of ERASED_TABLES) {
      const gone = await tx.query(
        `DELETE FROM memseal.${table} WHERE user_hash = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM memseal.${table} WHERE user_hash = $1 LIMIT $2))`,
        [tx.userHash, limit],
      );
      count += gone.rowCount ?? 0;
    }
    const answers = await tx.query(
      `DELETE FROM memseal.idempotency WHERE user_hash = $1 AND key_ref IN (
         SELECT key_ref FROM memseal.idempotency WHERE user_hash = $1 AND request_ref <> $3 LIMIT $2)`,
      [tx.userHash, limit, ERASURE_REF],
    );
    return count + (answers.rowCount ?? 0);
  }

  /** Ends an erasure: the tenant holds nothing any more, but for the receipt's day. */
  async endErasure(tx: TenantTransaction): Promise<void> {
    await tx.query(
      `UPDATE memseal.tenant SET state = 'erased', memory_count = 0, byte_count = 0, tombstone_floor = seq
       WHERE user_hash = $1 AND state = 'erasing'`,
      [tx.userHash],
    );
    await this.setNextDue(tx);
  }

  /** Sets when the tenant is due next: when the next thing expires, or never. */
  async setNextDue(tx: TenantTransaction): Promise<void> {
    await tx.query(
      `UPDATE memseal.tenant SET next_due_at = LEAST(
         (SELECT min(expires_at) FROM memseal.memory WHERE user_hash = $1),
         (SELECT min(deleted_at) + $2 * interval '1 millisecond' FROM memseal.memory_tombstone WHERE user_hash = $1),
         (SELECT min(expires_at) FROM memseal.idempotency WHERE user_hash = $1))
       WHERE user_hash = $1`,
      [tx.userHash, TOMBSTONES_KEPT_MS],
    );
  }
}
