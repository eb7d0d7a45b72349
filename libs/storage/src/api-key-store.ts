import type { UserHash } from "@memseal/crypto";
import { AppError } from "@memseal/errors";
import pg from "pg";
import { toStorageError } from "./errors.js";
import { ROLES } from "./roles.js";

export interface NewApiKey {
  keyId: string;
  secretHash: Buffer;
  /** Absent for a delegate key, which is bound to no user. */
  tenant?: UserHash | undefined;
  namespace: string;
  scopes: readonly string[];
  expiresAt?: Date | undefined;
}

/**
 * Writes an API key as the owner. A key that is there already stays as it is, revoked or not.
 * @throws AppError already_exists when its id belongs to another secret or user
 */
export async function createApiKey(ownerUrl: string, key: NewApiKey): Promise<void> {
  const tenant = key.tenant === undefined ? null : Buffer.from(key.tenant, "hex");
  const found = await asKeys(ownerUrl, async (client) => {
    await client.query(
      "INSERT INTO memseal.api_key (key_id, secret_hash, user_hash, namespace, scopes, expires_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (key_id) DO NOTHING",
      [key.keyId, key.secretHash, tenant, key.namespace, key.scopes, key.expiresAt ?? null],
    );
    return client.query("SELECT FROM memseal.api_key WHERE key_id = $1 AND secret_hash = $2 AND user_hash IS NOT DISTINCT FROM $3", [key.keyId, key.secretHash, tenant]);
  });
  if (found.rowCount !== 1) throw new AppError("already_exists", "an API key with this id exists already, with another secret or for another user");
}

/** An API key as its owner sees it: neither secret nor user. */
export interface ListedApiKey {
  keyId: string;
  /** Whether it is bound to one user. */
  isBound: boolean;
  namespace: string;
  scopes: string[];
  createdAt: Date;
  expiresAt: Date | null;
  revokedAt: Date | null;
}

/** Every API key, the newest first, as the owner. */
export async function listApiKeys(ownerUrl: string): Promise<ListedApiKey[]> {
  const { rows } = await asKeys(ownerUrl, (client) => client.query<ListedApiKey>(
    `SELECT key_id AS "keyId", user_hash IS NOT NULL AS "isBound", namespace, scopes, created_at AS "createdAt", expires_at AS "expiresAt", revoked_at AS "revokedAt"
     FROM memseal.api_key ORDER BY created_at DESC, key_id`,
  ));
  return rows;
}

/** Revokes a key for good, as the owner, and says since when it is; an earlier revocation keeps its time. Undefined for a key that there is not. */
export async function revokeApiKey(ownerUrl: string, keyId: string): Promise<Date | undefined> {
  const { rows } = await asKeys(ownerUrl, (client) => client.query<{ revoked_at: Date }>(
    "UPDATE memseal.api_key SET revoked_at = coalesce(revoked_at, now()) WHERE key_id = $1 RETURNING revoked_at",
    [keyId],
  ));
  return rows[0]?.revoked_at;
}

/** In one transaction of the owner, who takes on the keys role for it: its own rights show it no key. */
async function asKeys<T>(ownerUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: ownerUrl });
  try {
    await client.connect();
    await client.query(`BEGIN; SET LOCAL ROLE ${ROLES.keys}`);
    const result = await work(client);
    await client.query("COMMIT");
    return result;
  } catch (error) {
    throw toStorageError(error);
  } finally {
    await client.end();
  }
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
