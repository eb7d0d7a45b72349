import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StartupError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";
import pg from "pg";
import { z } from "zod";
import { EmbeddedPostgres } from "./embedded-postgres.js";
import { migrateUp } from "./migrate.js";
import { provisionDatabase, provisionRoles, ROLES, type LoginRole } from "./roles.js";

const DATABASE = "memseal";
const CONNECTION_FILE = "connection.json";
const LOGIN_ROLES = ["owner", "app", "auth", "scheduler"] as const satisfies readonly LoginRole[];

/** A connection URL for each role that can log in. They hold passwords. */
export type RoleUrls = Readonly<Record<LoginRole, string>>;

const roleUrlsSchema = z.object({ owner: z.string(), app: z.string(), auth: z.string(), scheduler: z.string() });

/** The embedded server with the product's roles, database and schema in it. */
export class LocalDatabase {
  private constructor(
    readonly server: EmbeddedPostgres,
    readonly urls: RoleUrls,
  ) {}

  /**
   * Starts the server in `dir` and brings roles, database and schema up to date. Passwords are new at each start:
   * they are needed by nobody else, and live in `connection.json` (0600) for commands on this machine.
   */
  static async start(dir: string, log: Logger): Promise<LocalDatabase> {
    const server = await EmbeddedPostgres.start({ dataDir: dir, log });
    try {
      const passwords = newPasswords();
      await asSuperuser(server, async (superuser) => {
        await provisionRoles(superuser, passwords);
        await provisionDatabase(superuser, DATABASE);
      });
      const urls = roleUrlsOf(passwords, (role, password) => urlOf(server, role, password));
      await migrateUp(urls.owner);
      writePrivately(join(dir, CONNECTION_FILE), JSON.stringify(urls));
      return new LocalDatabase(server, urls);
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    return this.server.stop();
  }
}

/** A random password for each role that can log in. */
export function newPasswords(): Record<LoginRole, string> {
  return Object.fromEntries(LOGIN_ROLES.map((role) => [role, randomBytes(24).toString("base64url")])) as Record<LoginRole, string>;
}

/** urlOf: the connection URL of a database role. */
export function roleUrlsOf(passwords: Readonly<Record<LoginRole, string>>, urlOf: (role: string, password: string) => string): RoleUrls {
  return Object.fromEntries(LOGIN_ROLES.map((role) => [role, urlOf(ROLES[role], passwords[role])])) as Record<LoginRole, string>;
}

/**
 * The URLs of the server that runs in `dir`, for a command beside it.
 * @throws StartupError when none was started there
 */
export function localDatabaseUrls(dir: string): RoleUrls {
  try {
    return roleUrlsSchema.parse(JSON.parse(readFileSync(join(dir, CONNECTION_FILE), "utf8")));
  } catch (error) {
    throw new StartupError(`no embedded database was started in ${dir}: start Memseal first, or set DATABASE_OWNER_URL`, { cause: error });
  }
}

async function asSuperuser(server: EmbeddedPostgres, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client(server.superuser("postgres"));
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

function urlOf(server: EmbeddedPostgres, user: string, password: string): string {
  return `postgres://${user}:${password}@${encodeURIComponent(server.socketDir)}:${server.port}/${DATABASE}`;
}

function writePrivately(file: string, text: string): void {
  writeFileSync(`${file}.partial`, text, { mode: 0o600 });
  renameSync(`${file}.partial`, file);
}
