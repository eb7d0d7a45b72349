import { StartupError } from "@memseal/errors";
import type pg from "pg";
import { SCHEMA } from "./roles.js";

/** The schema this release is built for. */
export const SERVICE_SCHEMA = 2;

/**
 * Refuses a connection whose role could see past row security: superuser, BYPASSRLS, owner of a table (or able to
 * become one), or a table without enabled and forced row security.
 * @throws StartupError
 */
export async function assertSafeRole(client: pg.ClientBase | pg.Pool): Promise<void> {
  const [role] = await ask<{ rolname: string; rolsuper: boolean; rolbypassrls: boolean }>(
    client,
    "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user",
  );
  if (role === undefined || role.rolsuper || role.rolbypassrls) {
    throw new StartupError(`database role ${role?.rolname} is superuser or bypasses row security: use the app role (see docs/operations.md)`);
  }
  const tables = await ask<{ relname: string; owned: boolean; secured: boolean; tenant: boolean }>(
    client,
    `SELECT c.relname, pg_has_role(c.relowner, 'MEMBER') AS owned, c.relrowsecurity AND c.relforcerowsecurity AS secured,
            EXISTS (SELECT 1 FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'user_hash' AND NOT a.attisdropped) AS tenant
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')`,
    [SCHEMA],
  );
  const owned = tables.find((table) => table.owned);
  if (owned) throw new StartupError(`database role ${role.rolname} owns table ${owned.relname}, or is a member of its owner: use the app role`);
  const open = tables.find((table) => table.tenant && !table.secured);
  if (open) throw new StartupError(`table ${open.relname} is not under forced row security: restore its policy before starting`);
}

/**
 * Refuses a database this release cannot run on.
 * @throws StartupError that names the schema it has and the one it needs
 */
export async function assertSchema(client: pg.ClientBase | pg.Pool): Promise<void> {
  // From the catalog: after the way down to 0 there is a schema that this role may not look into.
  const [found] = await ask(client, "SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'schema_version'", [SCHEMA]);
  if (found === undefined) throw new StartupError(`the database has no ${SCHEMA} schema: run the migrations as the owner first`);
  const [newest] = await ask<{ number: number; min_service: number }>(
    client,
    `SELECT number, min_service FROM ${SCHEMA}.schema_version ORDER BY number DESC LIMIT 1`,
  );
  if (newest === undefined || newest.number < SERVICE_SCHEMA || newest.min_service > SERVICE_SCHEMA) {
    throw new StartupError(`the database is at schema ${newest?.number ?? 0} (for services built for ${newest?.min_service ?? 0} or later); this release is built for schema ${SERVICE_SCHEMA}`);
  }
}

async function ask<Row extends pg.QueryResultRow>(client: pg.ClientBase | pg.Pool, sql: string, parameters: unknown[] = []): Promise<Row[]> {
  try {
    return (await client.query<Row>(sql, parameters)).rows;
  } catch (error) {
    throw new StartupError("the database cannot be reached or refuses this role: check DATABASE_URL and DATABASE_AUTH_URL", { cause: error });
  }
}
