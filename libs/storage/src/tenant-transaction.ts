import { createHash } from "node:crypto";
import type { UserHash } from "@memseal/crypto";
import { inSpan } from "@memseal/telemetry";
import pg from "pg";
import { ConnectionShares, type CallEnd, type Claim } from "./connection-shares.js";
import { ForeignRowError, toStorageError } from "./errors.js";
import { spanOf } from "./statement-span.js";
import { assertTenantStatement } from "./tenant-statement.js";

/** Told when a wall between tenants was put to the test. */
export interface TenantWalls {
  /** A row of another tenant came back from the database: row security has failed. */
  onForeignRow(): void;
  /** The database refused a statement that the role or the tenant has no right to. */
  onRefused(): void;
}

/** Runs statements of one tenant. */
export interface TenantStatements {
  /** The tenant as the bytes of a `user_hash` column: every statement names it beside the policy. */
  readonly userHash: Buffer;
  /**
   * One statement that reads or writes rows. Rows come back with their `user_hash`, which is compared.
   * @throws UnavailableError when the database is away; ForeignRowError when a row of another tenant came back
   */
  query<Row extends pg.QueryResultRow>(sql: string, parameters?: unknown[]): Promise<pg.QueryResult<Row>>;
}

/** Statements of one tenant inside its transaction, savepoints among them. Useless once the transaction has ended. */
export class TenantTransaction implements TenantStatements {
  #client: pg.ClientBase | undefined;

  constructor(
    client: pg.ClientBase,
    readonly tenant: UserHash,
    readonly userHash: Buffer,
    private readonly walls: TenantWalls,
  ) {
    this.#client = client;
  }

  async query<Row extends pg.QueryResultRow>(sql: string, parameters: unknown[] = []): Promise<pg.QueryResult<Row>> {
    const client = this.#client;
    if (client === undefined) throw new Error("this tenant transaction has ended");
    assertTenantStatement(sql);
    const result = await inSpan(spanOf(sql), () => run<Row>(client, this.walls, statement(sql, parameters)));
    assertOwnRows(result, this.userHash, this.walls);
    return result;
  }

  end(): void {
    this.#client = undefined;
  }
}

export interface TransactionOptions extends Pick<Claim, "goesFirst"> {
  /** All statements see one moment, and none writes. */
  snapshot?: boolean;
}

/**
 * The app role's connections. Nothing is read or written outside a tenant's transaction, and one tenant's transactions
 * never hold them all: a wait for a connection ends as ConnectionShares says.
 */
export class TenantDatabase {
  /** pool: of connections that take a statement before the one before it is answered (createPool). shares: of the same pool. */
  constructor(
    private readonly pool: pg.Pool,
    private readonly walls: TenantWalls = { onForeignRow: () => undefined, onRefused: () => undefined },
    private readonly shares = new ConnectionShares(pool.options.max),
    private readonly end?: CallEnd,
  ) {}

  /** The same, for a call that waits for no connection any more once it has ended. */
  until(end: CallEnd | undefined): TenantDatabase {
    return new TenantDatabase(this.pool, this.walls, this.shares, end);
  }

  /**
   * Runs `work` in one transaction in which row security shows `tenant` and nobody else; commits, or rolls back
   * when it throws. The setting ends with the transaction, so a pooled connection remembers nobody.
   */
  async withTenant<T>(tenant: UserHash, work: (tx: TenantTransaction) => Promise<T>, { snapshot = false, goesFirst }: TransactionOptions = {}): Promise<T> {
    const begin = beginAs(tenant, snapshot ? " ISOLATION LEVEL REPEATABLE READ, READ ONLY" : "");
    return inSpan({ name: "transaction" }, () => this.#onConnection(tenant, { end: this.end, goesFirst }, async (client) => {
      const tx = new TenantTransaction(client, tenant, Buffer.from(tenant, "hex"), this.walls);
      try {
        await run(client, this.walls, begin);
        const result = await work(tx);
        tx.end();
        const commit = await run(client, this.walls, "COMMIT");
        // After a failed statement that `work` swallowed, PostgreSQL answers COMMIT with ROLLBACK and no error.
        if (commit.command !== "COMMIT") throw new Error("a statement of this transaction failed: nothing was committed");
        return result;
      } finally {
        tx.end();
      }
    }));
  }

  /** Each statement in a transaction of its own, all of it in one round trip. */
  statementsOf(tenant: UserHash): TenantStatements {
    const userHash = Buffer.from(tenant, "hex");
    return { userHash, query: (sql, parameters = []) => this.#queryAlone({ tenant, userHash }, sql, parameters) };
  }

  async #queryAlone<Row extends pg.QueryResultRow>({ tenant, userHash }: { tenant: UserHash; userHash: Buffer }, sql: string, parameters: unknown[]): Promise<pg.QueryResult<Row>> {
    const begin = beginAs(tenant);
    assertTenantStatement(sql);
    return inSpan(spanOf(sql), () => this.#onConnection(tenant, { end: this.end }, async (client) => {
      // Sent together: should BEGIN fail, no tenant is set, and row security shows the statement nothing.
      const [, result] = await Promise.all([
        run(client, this.walls, begin),
        run<Row>(client, this.walls, statement(sql, parameters)),
        run(client, this.walls, "COMMIT"),
      ]);
      assertOwnRows(result, userHash, this.walls);
      return result;
    }));
  }

  /** A connection for one transaction. After a failure it goes back rolled back, or not at all. */
  async #onConnection<T>(tenant: UserHash, claim: Claim, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const turn = this.shares.take(tenant, claim);
    if (turn !== undefined) await turn;
    let client: pg.PoolClient | undefined;
    let broken = false;
    try {
      client = await this.#connect();
      return await work(client);
    } catch (error) {
      if (client !== undefined) broken = await client.query("ROLLBACK").then(() => false, () => true);
      throw error;
    } finally {
      client?.release(broken);
      this.shares.giveBack(tenant);
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

function statement(sql: string, parameters: unknown[]): pg.QueryConfig {
  return { name: parameters.length === 0 ? undefined : preparedName(sql), text: sql, values: parameters };
}

/** By text. Statements are written once, in the stores, so there are few. */
const preparedNames = new Map<string, string>();

/** Prepared once a connection: parsing and planning were half of a statement's cost. A plan reads the tenant anew each time. */
function preparedName(sql: string): string {
  let name = preparedNames.get(sql);
  if (name === undefined) {
    name = createHash("sha256").update(sql).digest("base64url").slice(0, 22);
    preparedNames.set(sql, name);
  }
  return name;
}

/** SQLSTATE of a row that a policy refuses, and of a table or column without a grant. */
const INSUFFICIENT_PRIVILEGE = "42501";

async function run<Row extends pg.QueryResultRow>(client: pg.ClientBase, walls: TenantWalls, statement: string | pg.QueryConfig): Promise<pg.QueryResult<Row>> {
  try {
    return await client.query<Row>(statement);
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === INSUFFICIENT_PRIVILEGE) walls.onRefused();
    throw toStorageError(error);
  }
}

/** The third wall: it stands when the policy was dropped by hand, or the role changed, while this process runs. */
function assertOwnRows({ rows }: pg.QueryResult, userHash: Buffer, walls: TenantWalls): void {
  for (const row of rows as { user_hash?: unknown }[]) {
    if (!Buffer.isBuffer(row.user_hash)) throw new Error("a tenant's statement must return user_hash with its rows");
    if (!row.user_hash.equals(userHash)) {
      walls.onForeignRow();
      throw new ForeignRowError();
    }
  }
}
