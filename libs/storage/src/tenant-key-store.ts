import type { UserHash } from "@memseal/crypto";
import type { TenantKeyRecord, TenantKeyRecords } from "@memseal/keys";
import type pg from "pg";
import type { TenantDatabase, TenantTransaction } from "./tenant-transaction.js";

/** Tenants' wrapped keys in PostgreSQL. */
export class TenantKeyStore implements TenantKeyRecords {
  constructor(private readonly database: TenantDatabase) {}

  async read(tenant: UserHash): Promise<{ epoch: number; isErased: boolean; keys: TenantKeyRecord[] } | undefined> {
    // One statement: a rotation between two would show the old epoch with the new key, or neither key as active.
    const own = this.database.statementsOf(tenant);
    const { rows } = await own.query<TenantKeyRow>(
      `SELECT user_hash, t.epoch, t.state, k.purpose, k.version, k.kid, k.commitment, k.provider, k.root_key_id, k.wrapped, k.status
       FROM memseal.tenant AS t LEFT JOIN memseal.tenant_key AS k USING (user_hash)
       WHERE user_hash = $1 ORDER BY k.version DESC`,
      [own.userHash],
    );
    const [first] = rows;
    return first && { epoch: first.epoch, isErased: first.state !== "active", keys: rows.filter(({ status }) => status === "active" || status === "decrypt_only").map(toRecord) };
  }

  async reserveSeals(tenant: UserHash, { version, seals, limit }: { version: number; seals: number; limit: number }): Promise<boolean> {
    const { rowCount } = await this.database.withTenant(tenant, (tx) => tx.query(
      `UPDATE memseal.tenant_key SET seals_reserved = seals_reserved + $3
       WHERE user_hash = $1 AND purpose = 'seal' AND version = $2 AND status = 'active' AND seals_reserved + $3 <= $4`,
      [tx.userHash, version, seals, limit],
    ));
    return rowCount === 1;
  }

  async rotateSealKey(tenant: UserHash, next: TenantKeyRecord): Promise<void> {
    await this.database.withTenant(tenant, async (tx) => {
      // The tenant's row lock: rotations and writes of a tenant come one after the other.
      await tx.query("SELECT user_hash FROM memseal.tenant WHERE user_hash = $1 FOR UPDATE", [tx.userHash]);
      const retired = await tx.query(
        "UPDATE memseal.tenant_key SET status = 'decrypt_only' WHERE user_hash = $1 AND purpose = 'seal' AND version = $2 AND status = 'active'",
        [tx.userHash, next.version - 1],
      );
      // Another process was faster.
      if (retired.rowCount === 0) return;
      await insertTenantKey(tx, next);
      await tx.query("UPDATE memseal.tenant SET epoch = epoch + 1 WHERE user_hash = $1", [tx.userHash]);
    });
  }

  async addReferenceKey(tenant: UserHash, key: TenantKeyRecord): Promise<void> {
    await this.database.withTenant(tenant, (tx) => tx.query(`${INSERT_KEY} ON CONFLICT (user_hash, purpose, version) DO NOTHING`, keyValues(tx, key)));
  }
}

/** Of a version that the tenant does not have yet. */
export async function insertTenantKey(tx: TenantTransaction, key: TenantKeyRecord): Promise<void> {
  await tx.query(INSERT_KEY, keyValues(tx, key));
}

const INSERT_KEY = `INSERT INTO memseal.tenant_key (user_hash, purpose, version, kid, commitment, provider, root_key_id, wrapped, status)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`;

function keyValues(tx: TenantTransaction, key: TenantKeyRecord): unknown[] {
  return [tx.userHash, key.purpose, key.version, key.kid, key.commitment, key.provider, key.rootKeyId, key.wrapped, key.status];
}

interface TenantKeyRow extends Omit<TenantKeyRecord, "rootKeyId" | "status">, pg.QueryResultRow {
  epoch: number;
  state: string;
  root_key_id: string;
  /** null where the tenant has no key at all. */
  status: string | null;
}

function toRecord(row: TenantKeyRow): TenantKeyRecord {
  return {
    purpose: row.purpose,
    version: row.version,
    kid: row.kid,
    commitment: row.commitment,
    provider: row.provider,
    rootKeyId: row.root_key_id,
    wrapped: row.wrapped,
    status: row.status as TenantKeyRecord["status"],
  };
}
