import { AppError, StartupError } from "@memseal/errors";
import { MigrationExecutor, type DataSource, type QueryRunner } from "typeorm";
import type { SchemaMigration } from "./migrations/schema-migration.js";
import { ownerDataSource } from "./owner-data-source.js";
import { createRoleSql, ROLES, SCHEMA } from "./roles.js";

/** Any number that nobody else uses as an advisory lock here: "memseal" as ASCII. */
const MIGRATION_LOCK = "30792293223326060";

/** A migration that this release has or the database had from another. */
export interface SchemaStep {
  number: number;
  minService: number;
  /** Absent while it is not applied. */
  appliedAt?: Date;
}

export interface SchemaStatus {
  /** The newest applied migration; 0 before the first. */
  schema: number;
  /** The newest migration of this release. */
  newest: number;
  /** Services built for a schema from here to `schema` start; 0 before the first migration. */
  minService: number;
  /** In order of their numbers. */
  steps: SchemaStep[];
}

/** Rows of one table. */
export interface TableRows {
  table: string;
  rows: number;
}

/** What is applied and what could be. Changes nothing, and waits for nobody. */
export function schemaStatus(url: string): Promise<SchemaStatus> {
  return asOwner(url, async (runner, source) => {
    const applied = await appliedSteps(runner);
    const newest = applied.at(-1);
    const pending = migrationsOf(source).filter(({ number }) => number > (newest?.number ?? 0));
    return {
      schema: newest?.number ?? 0,
      newest: newestOf(source),
      minService: newest?.minService ?? 0,
      steps: [...applied, ...pending.map(({ number, minService }) => ({ number, minService }))],
    };
  });
}

/**
 * Applies what is missing, each migration in a transaction of its own. Waits for another process that is doing the same.
 * to: the last one to apply, the newest by default. Returns the numbers of what was applied.
 * @throws StartupError when a migration fails, of which nothing is kept, or cannot be run as this role
 */
export function migrateUp(url: string, { to }: { to?: number | undefined } = {}): Promise<number[]> {
  return asOwner(url, async (runner, source) => {
    const newest = newestOf(source);
    if (to !== undefined && to > newest) throw new StartupError(`this release has migrations up to ${newest} and none to ${to}`);
    await lock(runner);
    const schema = await schemaNumber(runner);
    if (to !== undefined && to < schema) throw new StartupError(`the database is at schema ${schema}, past ${to}: use \`memseal migrate down --to ${to}\``);
    await assertRoles(runner);
    await runner.query(`CREATE SCHEMA IF NOT EXISTS ${SCHEMA}`);
    const executor = new MigrationExecutor(source, runner);
    const applied: number[] = [];
    for (const migration of await executor.getPendingMigrations()) {
      const { number } = migration.instance as SchemaMigration;
      if (number > (to ?? newest)) break;
      await inTransaction(runner, `the migration to schema ${number}`, () => executor.executeMigration(migration));
      applied.push(number);
    }
    return applied;
  });
}

/**
 * Takes migrations back, all in one transaction: the newest, or every one above `to`. Returns what was lost with them.
 * destroyData: whether rows may be lost.
 * @throws AppError failed_precondition, with the database unchanged, when rows would be lost and may not be
 */
export function migrateDown(url: string, { to, destroyData = false }: { to?: number | undefined; destroyData?: boolean } = {}): Promise<TableRows[]> {
  return asOwner(url, async (runner, source) => {
    await lock(runner);
    const schema = await schemaNumber(runner);
    const target = to ?? schema - 1;
    if (target < 0 || target >= schema) throw new StartupError(`the database is at schema ${schema}: there is nothing above ${Math.max(target, 0)} to take back`);
    if (schema > newestOf(source)) throw new StartupError(`the database is at schema ${schema} and this release knows only ${newestOf(source)}: take it back with the release that made it`);
    await assertRoles(runner);
    const undone = migrationsOf(source).filter(({ number }) => number > target && number <= schema);
    return inTransaction(runner, `the way down to schema ${target}`, async () => {
      const lost = await countRows(runner, undone.flatMap(({ drops }) => drops));
      if (lost.length > 0 && !destroyData) {
        throw new AppError("failed_precondition", `going down to schema ${target} would lose ${inWords(lost)}: to lose them for good, add --destroy-data`);
      }
      const executor = new MigrationExecutor(source, runner);
      for (let step = 0; step < undone.length; step++) await executor.undoLastMigration();
      return lost;
    });
  });
}

/** `3 rows of memory, 1 row of chunk`. */
export function inWords(lost: readonly TableRows[]): string {
  return lost.map(({ table, rows }) => `${rows} ${rows === 1 ? "row" : "rows"} of ${table}`).join(", ");
}

/** The tables among these that hold rows, whosever they are. Ends every other use of them until the transaction is over. */
async function countRows(runner: QueryRunner, tables: readonly string[]): Promise<TableRows[]> {
  const counts: TableRows[] = [];
  for (const table of tables) {
    // FORCE binds the owner too, to whom every table would look empty. It is back with a rollback, or goes with the table.
    await runner.query(`ALTER TABLE ${SCHEMA}.${table} NO FORCE ROW LEVEL SECURITY`);
    const [{ rows }] = (await runner.query(`SELECT count(*) AS rows FROM ${SCHEMA}.${table}`)) as [{ rows: string }];
    counts.push({ table, rows: Number(rows) });
  }
  return counts.filter(({ rows }) => rows > 0);
}

/** Names are fixed, since migrations grant to them. @throws StartupError with the SQL that is missing */
async function assertRoles(runner: QueryRunner): Promise<void> {
  const [{ role }] = (await runner.query("SELECT current_user AS role")) as [{ role: string }];
  if (role !== ROLES.owner) throw new StartupError(`the schema is ${ROLES.owner}'s, and DATABASE_OWNER_URL names ${role}: connect as ${ROLES.owner}`);
  for (const wanted of ["app", "auth", "scheduler", "keys"] as const) {
    const [{ found }] = (await runner.query("SELECT to_regrole($1) IS NOT NULL AS found", [ROLES[wanted]])) as [{ found: boolean }];
    if (!found) throw new StartupError(`this PostgreSQL has no role ${ROLES[wanted]}: as its superuser, run ${createRoleSql(wanted)} (docs/operations.md, "A PostgreSQL of your own")`);
  }
  const [{ member }] = (await runner.query("SELECT pg_has_role($1, 'MEMBER') AS member", [ROLES.keys])) as [{ member: boolean }];
  if (!member) throw new StartupError(`${ROLES.owner} may not act as ${ROLES.keys}: as superuser, run GRANT ${ROLES.keys} TO ${ROLES.owner};`);
}

async function inTransaction<T>(runner: QueryRunner, what: string, work: () => Promise<T>): Promise<T> {
  await runner.startTransaction();
  try {
    const result = await work();
    await runner.commitTransaction();
    return result;
  } catch (error) {
    // Where the connection is gone, the server rolls back.
    await runner.rollbackTransaction().catch(() => undefined);
    if (error instanceof AppError) throw error;
    throw new StartupError(`${what} failed, and nothing of it is kept (${codeOf(error)})`, { cause: error });
  }
}

/** A driver's SQLSTATE; its message could quote a row. */
function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? `PostgreSQL's code ${code}` : "no code";
}

/** Held by the connection that does the work, so whoever loses one loses both. */
async function lock(runner: QueryRunner): Promise<void> {
  await runner.query("SELECT pg_advisory_lock($1)", [MIGRATION_LOCK]);
}

async function schemaNumber(runner: QueryRunner): Promise<number> {
  return (await appliedSteps(runner)).at(-1)?.number ?? 0;
}

async function appliedSteps(runner: QueryRunner): Promise<Required<SchemaStep>[]> {
  const [{ made }] = (await runner.query("SELECT to_regclass($1) IS NOT NULL AS made", [`${SCHEMA}.schema_version`])) as [{ made: boolean }];
  if (!made) return [];
  return (await runner.query(`SELECT number, min_service AS "minService", applied_at AS "appliedAt" FROM ${SCHEMA}.schema_version ORDER BY number`)) as Required<SchemaStep>[];
}

function migrationsOf(source: DataSource): SchemaMigration[] {
  return source.migrations as SchemaMigration[];
}

function newestOf(source: DataSource): number {
  return Math.max(...migrationsOf(source).map(({ number }) => number));
}

async function asOwner<T>(url: string, work: (runner: QueryRunner, source: DataSource) => Promise<T>): Promise<T> {
  const source = ownerDataSource(url);
  try {
    await source.initialize();
  } catch (error) {
    throw new StartupError("the database cannot be reached as its owner: check DATABASE_OWNER_URL, and that the database runs", { cause: error });
  }
  const runner = source.createQueryRunner();
  try {
    return await work(runner, source);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new StartupError(`the database gave up on the migrations (${codeOf(error)}): check that DATABASE_OWNER_URL is ${ROLES.owner}'s`, { cause: error });
  } finally {
    // Closing the connection gives the lock back, also after a failure.
    await runner.release();
    await source.destroy();
  }
}
