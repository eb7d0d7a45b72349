import { parseUserHash, type UserHash } from "@memseal/crypto";
import type pg from "pg";
import { toStorageError } from "./errors.js";

/** What the scheduler role may know: which tenants have work, and nothing that they hold. */
export class DueTenants {
  /** pool: of the scheduler role. */
  constructor(private readonly pool: pg.Pool) {}

  /** Those that are due by the database's clock, the longest due first. */
  async list(limit: number): Promise<UserHash[]> {
    try {
      const { rows } = await this.pool.query<{ tenant: string }>(
        "SELECT encode(user_hash, 'hex') AS tenant FROM memseal.tenant WHERE next_due_at <= now() ORDER BY next_due_at LIMIT $1",
        [limit],
      );
      return rows.map(({ tenant }) => parseUserHash(tenant));
    } catch (error) {
      throw toStorageError(error);
    }
  }
}
