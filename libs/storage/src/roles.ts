import { StartupError } from "@memseal/errors";
import type { ClientBase } from "pg";

/** The schema that holds every table of the product. */
export const SCHEMA = "memseal";

/**
 * The roles of one installation. None is superuser, none bypasses row security, none inherits another's rights.
 * - owner: owns the tables, runs migrations, creates API keys; services never use it
 * - app: reads and writes rows of the tenant that its transaction names
 * - auth: may execute the one function that looks an API key up
 * - scheduler: sees which tenants have work due, and no row of theirs
 * - keys: cannot log in; owns that function, and the owner takes it on to write API keys
 */
export const ROLES = { owner: "memseal_owner", app: "memseal_app", auth: "memseal_auth", scheduler: "memseal_scheduler", keys: "memseal_keys" } as const;
export type LoginRole = "owner" | "app" | "auth" | "scheduler";

const ATTRIBUTES = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT";

/**
 * Creates the roles, or resets their attributes and passwords. As superuser, in any database of the cluster.
 * @throws StartupError when a password is not URL-safe text
 */
export async function provisionRoles(superuser: ClientBase, passwords: Readonly<Record<LoginRole, string>>): Promise<void> {
  for (const role of Object.keys(ROLES) as (keyof typeof ROLES)[]) {
    const name = ROLES[role];
    const found = await superuser.query("SELECT 1 FROM pg_roles WHERE rolname = $1", [name]);
    const verb = found.rowCount === 0 ? "CREATE" : "ALTER";
    await superuser.query(`${verb} ROLE ${name} ${ATTRIBUTES} ${role === "keys" ? "NOLOGIN" : `LOGIN PASSWORD '${literal(passwords[role])}'`}`);
  }
  await superuser.query(`GRANT ${ROLES.keys} TO ${ROLES.owner}`);
}

/** The statement that makes a role, with `...` for its password: for a person to run. */
export function createRoleSql(role: keyof typeof ROLES): string {
  return `CREATE ROLE ${ROLES[role]} ${ATTRIBUTES} ${role === "keys" ? "NOLOGIN" : "LOGIN PASSWORD '...'"};`;
}

/** Creates the database, owned by the owner and closed to everyone but the roles above. As superuser. */
export async function provisionDatabase(superuser: ClientBase, database: string): Promise<void> {
  const name = superuser.escapeIdentifier(database);
  const found = await superuser.query("SELECT 1 FROM pg_database WHERE datname = $1", [database]);
  if (found.rowCount === 0) await superuser.query(`CREATE DATABASE ${name} OWNER ${ROLES.owner}`);
  await superuser.query(`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`);
  await superuser.query(`GRANT CONNECT ON DATABASE ${name} TO ${ROLES.app}, ${ROLES.auth}, ${ROLES.scheduler}`);
}

/** A role statement takes no parameters, so a password must be harmless as a literal. */
function literal(password: string): string {
  if (!/^[A-Za-z0-9_-]{20,}$/.test(password)) throw new StartupError("a role's password needs at least 20 characters of A-Z, a-z, 0-9, - and _");
  return password;
}
