import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Logger } from "@memseal/telemetry";
import pg from "pg";
import { LocalDatabase, type RoleUrls } from "./local-database.js";

/** A real PostgreSQL in a directory of its own, with roles, database and schema. */
export interface TestDatabase {
  readonly dir: string;
  readonly urls: RoleUrls;
  readonly server: LocalDatabase["server"];
  /** Runs statements as the cluster's superuser in the product's database: what a thief of the disk would see. */
  asSuperuser<Row extends pg.QueryResultRow>(sql: string, parameters?: unknown[]): Promise<Row[]>;
  stop(): Promise<void>;
}

export async function startTestDatabase(): Promise<TestDatabase> {
  const dir = mkdtempSync(join(tmpdir(), "memseal-test-"));
  const database = await LocalDatabase.start(dir, new Logger("test", () => undefined));
  return {
    dir,
    urls: database.urls,
    server: database.server,
    async asSuperuser<Row extends pg.QueryResultRow>(sql: string, parameters: unknown[] = []) {
      const client = new pg.Client(database.server.superuser("memseal"));
      await client.connect();
      try {
        return (await client.query<Row>(sql, parameters)).rows;
      } finally {
        await client.end();
      }
    },
    async stop() {
      await database.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
