import type { UserHash } from "@memseal/crypto";
import type pg from "pg";
import { toStorageError } from "./errors.js";

/** Statements of one tenant inside its transaction. Useless once the transaction has ended. */
export class TenantTransaction {
  #client: pg.ClientBase | undefined;

  constructor(
    client: pg.ClientBase,
    readonly tenant: UserHash,
    /** The tenant as the bytes of a `user_hash` column: every statement names it beside the policy. */
    readonly userHash: Buffer,
  ) {
    this.#client = client;
  }

  /** @throws UnavailableError when the database is away */
  async query<Row extends pg.QueryResultRow>(sql: string, parameters: unknown[] = []): Promise<pg.QueryResult<Row>> {
    if (this.#client === undefined) throw new Error("this tenant transaction has ended");
    try {
      return await this.#client.query<Row>(sql, parameters);
    } catch (error) {
      throw toStorageError(error);
    }
  }

  end(): void {
    this.#client = undefined;
  }
}

export interface TransactionOptions {
  /** All statements see one moment, and none writes. */
  snapshot?: boolean;
}

/** The app role's connections. Nothing is read or written outside a tenant's transaction. */
export class TenantDatabase {
  constructor(private readonly pool: pg.Pool) {}

  /**
   * Runs `work` in one transaction in which row security shows `tenant` and nobody else; commits, or rolls back
   * when it throws. The setting ends with the transaction, so a pooled connection remembers nobody.
   */
  async withTenant<T>(tenant: UserHash, work: (tx: TenantTransaction) => Promise<T>, { snapshot = false }: TransactionOptions = {}): Promise<T> {
    const begin = beginAs(tenant, snapshot ? " ISOLATION LEVEL REPEATABLE READ, READ ONLY" : "");
    return this.#onConnection(async (client) => {
      const tx = new TenantTransaction(client, tenant, Buffer.from(tenant, "hex"));
      try {
        await run(client, begin);
        const result = await work(tx);
        tx.end();
        const commit = await run(client, "COMMIT");
        // After a failed statement that `work` swallowed, PostgreSQL answers COMMIT with ROLLBACK and no error.
        if (commit.command !== "COMMIT") throw new Error("a statement of this transaction failed: nothing was committed");
        return result;
      } finally {
        tx.end();
      }
    });
  }

  /** One statement without parameters in a tenant's transaction, all in one round trip. */
  async queryAsTenant<Row extends pg.QueryResultRow>(tenant: UserHash, sql: string): Promise<Row[]> {
    const text = `${beginAs(tenant)}; ${sql}; COMMIT`;
    return this.#onConnection(async (client) => {
      // One result a statement: BEGIN, SET, the query, COMMIT.
      const results = await run(client, text) as unknown as pg.QueryResult<Row>[];
      return results[2]?.rows ?? [];
    });
  }

  /** A connection for one transaction. After a failure it goes back rolled back, or not at all. */
  async #onConnection<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let broken = false;
    try {
      return await work(client);
    } catch (error) {
      broken = await client.query("ROLLBACK").then(() => false, () => true);
      throw error;
    } finally {
      client.release(broken);
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.pool.connect();
    } catch (error) {
      throw toStorageError(error);
    }
  }
}

/** The tenant as a literal, in the same round trip as BEGIN. Not set_config(): its order in a statement is open, and Citus does not propagate it. */
function beginAs(tenant: UserHash, mode = ""): string {
  // The type promises it; a literal in SQL is checked all the same.
  if (!/^[0-9a-f]{64}$/.test(tenant)) throw new TypeError("a tenant is 64 lower-case hex digits");
  return `BEGIN${mode}; SET LOCAL app.user_hash = '${tenant}'`;
}

async function run(client: pg.ClientBase, sql: string): Promise<pg.QueryResult> {
  try {
    return await client.query(sql);
  } catch (error) {
    throw toStorageError(error);
  }
}
