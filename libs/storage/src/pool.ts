import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "@memseal/telemetry";
import pg from "pg";

/** Connections of one role. A connection that breaks while idle is dropped and logged, not thrown. */
export function createPool(url: string, log: Logger, max: number): pg.Pool {
  // Never `binary`: pg 8 decodes bytea through UTF-8 then, and corrupts it silently.
  const pool = new pg.Pool({ connectionString: url, max, connectionTimeoutMillis: 2_000, statement_timeout: 30_000, application_name: "memseal" });
  // A connection can break while a statement runs, too, and an error event that nobody hears ends the process.
  pool.on("connect", (client) => client.on("error", (error) => { log.warn("database connection lost", { error }); }));
  pool.on("error", () => undefined);
  return pool;
}

/** Whether the database answers at all, and soon. */
export function isReachable(pool: pg.Pool, withinMs = 2_000): Promise<boolean> {
  const answers = pool.query("SELECT 1").then(() => true, () => false);
  return Promise.race([answers, delay(withinMs, false, { ref: false })]);
}
