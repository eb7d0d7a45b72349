import type pg from "pg";
import type { TenantTransaction } from "./tenant-transaction.js";

/** What is known of an erasure. */
export interface Erasure {
  id: string;
  erasedAt: Date;
  memories: number;
  bytes: number;
  /** Each version of the root key that keys of the tenant in a backup may be wrapped by. */
  rootKeys: { id: string; version: number | undefined; destroyedAt: Date | undefined }[];
}

export interface NewErasure extends Omit<Erasure, "rootKeys"> {
  /** Of the versions that the keys were wrapped by when they were destroyed. */
  rootKeyIds: readonly string[];
}

/** Erasures of a tenant, which stay when all else is gone. */
export class ErasureStore {
  /** An older version that is not destroyed counts, too: it may have wrapped the keys before a rotation, in a backup of then. */
  async add(tx: TenantTransaction, { id, erasedAt, memories, bytes, rootKeyIds }: NewErasure): Promise<void> {
    await tx.query(
      `INSERT INTO memseal.erasure (user_hash, id, erased_at, memories, bytes, root_key_ids)
       SELECT $1, $2, $3, $4, $5, ARRAY(
         SELECT unnest($6::text[]) AS id
         UNION SELECT root_key_id FROM memseal.root_key
         WHERE destroyed_at IS NULL AND version < (SELECT max(version) FROM memseal.root_key WHERE root_key_id = ANY ($6::text[])) ORDER BY id)`,
      [tx.userHash, id, erasedAt, memories, bytes, rootKeyIds],
    );
  }

  async read(tx: TenantTransaction, id: string): Promise<Erasure | undefined> {
    const { rows } = await tx.query<ErasureRow>(
      `SELECT e.user_hash, e.id, e.erased_at, e.memories, e.bytes, k.id AS root_key_id, r.version, r.destroyed_at
       FROM memseal.erasure AS e CROSS JOIN LATERAL unnest(e.root_key_ids) AS k (id) LEFT JOIN memseal.root_key AS r ON r.root_key_id = k.id
       WHERE e.user_hash = $1 AND e.id = $2 ORDER BY r.version, k.id`,
      [tx.userHash, id],
    );
    const [first] = rows;
    return first && {
      id: first.id,
      erasedAt: first.erased_at,
      memories: Number(first.memories),
      bytes: Number(first.bytes),
      rootKeys: rows.map(({ root_key_id: rootKeyId, version, destroyed_at: destroyedAt }) => ({ id: rootKeyId, version: version ?? undefined, destroyedAt: destroyedAt ?? undefined })),
    };
  }
}

interface ErasureRow extends pg.QueryResultRow {
  id: string;
  erased_at: Date;
  memories: string;
  bytes: string;
  root_key_id: string;
  version: number | null;
  destroyed_at: Date | null;
}
