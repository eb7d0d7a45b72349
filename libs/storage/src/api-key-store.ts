import type { UserHash } from "@memseal/crypto";
import { AppError } from "@memseal/errors";
import pg from "pg";
import { toStorageError } from "./errors.js";
import { ROLES } from "./roles.js";

export interface NewApiKey {
  keyId: string;
  secretHash: Buffer;
  tenant: UserHash;
  namespace: string;
  scopes: readonly string[];
}

/**
 * Writes an API key as the owner, who takes on the keys role for it: its own rights show it none. A key that is
 * there already stays as it is, revoked or not.
 * @throws AppError already_exists when its id belongs to another secret or user
 */
export async function createApiKey(ownerUrl: string, key: NewApiKey): Promise<void> {
  const tenant = Buffer.from(key.tenant, "hex");
  const client = new pg.Client({ connectionString: ownerUrl });
  let rowCount: number | null;
  try {
    await client.connect();
    await client.query(`BEGIN; SET LOCAL ROLE ${ROLES.keys}`);
    await client.query(
      "INSERT INTO memseal.api_key (key_id, secret_hash, user_hash, namespace, scopes) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key_id) DO NOTHING",
      [key.keyId, key.secretHash, tenant, key.namespace, key.scopes],
    );
    ({ rowCount } = await client.query("SELECT FROM memseal.api_key WHERE key_id = $1 AND secret_hash = $2 AND user_hash = $3", [key.keyId, key.secretHash, tenant]));
    await client.query("COMMIT");
  } catch (error) {
    throw toStorageError(error);
  } finally {
    await client.end();
  }
  if (rowCount !== 1) throw new AppError("already_exists", "an API key with this id exists already, with another secret or for another user");
}

export interface ResolvedKey {
  /** Absent for a key that is bound to no user. */
  tenant: Buffer | null;
  namespace: string;
  scopes: string[];
}

/** Looks API keys up as the auth role, which can do nothing else. */
export class ApiKeyLookup {
  constructor(private readonly pool: pg.Pool) {}

  /** Undefined for an unknown, expired or revoked key and for a wrong secret alike. */
  async resolve(keyId: string, secretHash: Buffer): Promise<ResolvedKey | undefined> {
    try {
      const { rows } = await this.pool.query<{ user_hash: Buffer | null; namespace: string; scopes: string[] }>(
        "SELECT user_hash, namespace, scopes FROM memseal.resolve_api_key($1, $2)",
        [keyId, secretHash],
      );
      return rows[0] && { tenant: rows[0].user_hash, namespace: rows[0].namespace, scopes: rows[0].scopes };
    } catch (error) {
      throw toStorageError(error);
    }
  }
}
