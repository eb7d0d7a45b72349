import { StartupError } from "@memseal/errors";
import type pg from "pg";
import { ROLES, SCHEMA } from "./roles.js";

/** The schema this release is built for. */
export const SERVICE_SCHEMA = 4;

/** As PostgreSQL prints it back, every version the same. */
const IS_TENANT = "(user_hash = decode(NULLIF(current_setting('app.user_hash'::text, true), ''::text), 'hex'::text))";

interface Fault {
  /** Gives a row with the `name` of each thing that is wrong. Parameter: our schema. */
  sql: string;
  /** What is wrong with it and what to do. */
  says: (name: string, role: string) => string;
}

const TABLES = "pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = $1";
const HAS_TENANT = "EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'user_hash' AND NOT a.attisdropped)";

/** Each way in which a role or a schema could let one tenant see another. All must be absent. */
const FAULTS: readonly Fault[] = [
  {
    sql: "SELECT rolname AS name FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls) AND $1 <> ''",
    says: (name) => `database role ${name} is superuser or bypasses row security: use the app role (see docs/operations.md)`,
  },
  {
    sql: `SELECT c.relname AS name FROM ${TABLES} WHERE c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'MEMBER')`,
    says: (name, role) => `database role ${role} owns table ${name}, or is a member of its owner: use the app role`,
  },
  {
    sql: "SELECT rolname AS name FROM pg_roles WHERE rolname <> current_user AND pg_has_role(oid, 'MEMBER') AND $1 <> ''",
    says: (name, role) => `database role ${role} is a member of ${name}: REVOKE ${name} FROM ${role}`,
  },
  {
    // Partitions and child tables too: queried directly, they have only policies of their own.
    sql: `SELECT c.relname AS name FROM ${TABLES} WHERE c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity) AND ${HAS_TENANT}`,
    says: (name) => `table ${name} is not under forced row security: restore its policy before starting`,
  },
  {
    // Permissive policies are OR-ed: one more, or another expression, shows more.
    sql: `SELECT p.polname || ' of table ' || c.relname AS name
          FROM ${TABLES} JOIN pg_policy AS p ON p.polrelid = c.oid
          WHERE p.polpermissive
            AND (p.polname = 'tenant_isolation' AND p.polcmd = '*'
              AND pg_get_expr(p.polqual, c.oid) = ${literal(IS_TENANT)} AND pg_get_expr(p.polwithcheck, c.oid) = ${literal(IS_TENANT)}) IS NOT TRUE
            AND (p.polname = 'due_tenants' AND c.relname = 'tenant' AND p.polcmd = 'r' AND p.polroles = ARRAY[to_regrole('${ROLES.scheduler}')::oid]) IS NOT TRUE
            AND (p.polname = 'key_administration' AND c.relname = 'api_key' AND p.polroles = ARRAY[to_regrole('${ROLES.keys}')::oid]) IS NOT TRUE`,
    says: (name) => `policy ${name} is none that the migrations made: drop it, or restore the one it replaced`,
  },
  {
    // An error about a duplicate key without the tenant tells what another tenant holds.
    sql: `SELECT i.indexrelid::regclass::text AS name FROM ${TABLES} JOIN pg_index AS i ON i.indrelid = c.oid
          LEFT JOIN pg_attribute AS first ON first.attrelid = c.oid AND first.attnum = i.indkey[0]
          WHERE i.indisunique AND ${HAS_TENANT} AND c.relname <> 'api_key' AND first.attname IS DISTINCT FROM 'user_hash'`,
    says: (name) => `unique key ${name} does not begin with user_hash, and so tells tenants of each other: drop it`,
  },
  {
    // Checks of a foreign key pass by every policy.
    sql: `SELECT k.conname || ' of table ' || k.conrelid::regclass AS name FROM ${TABLES} JOIN pg_constraint AS k ON c.oid IN (k.conrelid, k.confrelid)
          LEFT JOIN pg_attribute AS first ON first.attrelid = k.conrelid AND first.attnum = k.conkey[1]
          WHERE k.contype = 'f' AND first.attname IS DISTINCT FROM 'user_hash'`,
    says: (name) => `foreign key ${name} does not begin with user_hash, and so reaches other tenants: drop it`,
  },
  {
    // A view reads as its owner, in any schema; a materialized one keeps what it read.
    sql: `SELECT DISTINCT v.oid::regclass::text AS name FROM ${TABLES}
          JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass
          JOIN pg_rewrite AS r ON r.oid = d.objid JOIN pg_class AS v ON v.oid = r.ev_class
          WHERE v.relkind = 'm' OR (v.relkind = 'v' AND NOT coalesce(v.reloptions::text[] && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false))`,
    says: (name) => `view ${name} reads tenants' rows as its owner: drop it, or ALTER VIEW ${name} SET (security_invoker = true)`,
  },
  {
    sql: `SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
          WHERE p.prosecdef AND has_function_privilege(p.oid, 'EXECUTE') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
            AND (n.nspname = $1 AND p.oid = to_regprocedure($1 || '.resolve_api_key(text, bytea)') AND p.proowner = to_regrole('${ROLES.keys}')::oid
              AND p.proconfig = ARRAY['search_path=pg_catalog, pg_temp']) IS NOT TRUE`,
    says: (name, role) => `function ${name} runs with its owner's rights and is not as the migrations made it: REVOKE EXECUTE ON FUNCTION ${name} FROM PUBLIC, ${role}, or restore it`,
  },
  {
    sql: `SELECT c.relname AS name FROM ${TABLES} WHERE c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'TRUNCATE, REFERENCES, TRIGGER')`,
    says: (name, role) => `database role ${role} may truncate, reference or put triggers on table ${name}: REVOKE TRUNCATE, REFERENCES, TRIGGER ON ${SCHEMA}.${name} FROM ${role}`,
  },
  {
    sql: "SELECT nspname AS name FROM pg_namespace WHERE nspname = $1 AND has_schema_privilege(oid, 'CREATE')",
    says: (name, role) => `database role ${role} may create objects in schema ${name}: REVOKE CREATE ON SCHEMA ${name} FROM ${role}`,
  },
];

/**
 * Refuses a connection whose role, or whose database's schema, could show one tenant another's rows.
 * @throws StartupError that names what is wrong and what to do
 */
export async function assertSafeRole(client: pg.ClientBase | pg.Pool): Promise<void> {
  const [role] = await ask<{ name: string }>(client, "SELECT current_user AS name");
  for (const { sql, says } of FAULTS) {
    const [fault] = await ask<{ name: string }>(client, `${sql} ORDER BY 1 LIMIT 1`, [SCHEMA]);
    if (fault !== undefined) throw new StartupError(says(fault.name, role?.name ?? "?"));
  }
}

/**
 * Refuses a database this release cannot run on.
 * @throws StartupError that names the schema it has and the one it needs
 */
export async function assertSchema(client: pg.ClientBase | pg.Pool): Promise<void> {
  // From the catalog: after the way down to 0 there is a schema that this role may not look into.
  const [found] = await ask(client, "SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'schema_version'", [SCHEMA]);
  if (found === undefined) throw new StartupError(`the database has no ${SCHEMA} schema: run \`memseal migrate up\` as the owner first`);
  const [newest] = await ask<{ number: number; min_service: number }>(
    client,
    `SELECT number, min_service FROM ${SCHEMA}.schema_version ORDER BY number DESC LIMIT 1`,
  );
  const has = newest ?? { number: 0, min_service: 0 };
  if (has.number < SERVICE_SCHEMA) {
    throw new StartupError(`the database is at schema ${has.number}; this release is built for schema ${SERVICE_SCHEMA} and needs at least that: run \`memseal migrate up\` as the owner`);
  }
  if (has.min_service > SERVICE_SCHEMA) {
    throw new StartupError(`the database is at schema ${has.number}, for services built for schema ${has.min_service} or later; this release is built for schema ${SERVICE_SCHEMA}: run a newer release`);
  }
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

async function ask<Row extends pg.QueryResultRow>(client: pg.ClientBase | pg.Pool, sql: string, parameters: unknown[] = []): Promise<Row[]> {
  try {
    return (await client.query<Row>(sql, parameters)).rows;
  } catch (error) {
    throw new StartupError("the database cannot be reached or refuses this role: check DATABASE_URL, DATABASE_AUTH_URL and DATABASE_SCHEDULER_URL", { cause: error });
  }
}
