import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "@memseal/telemetry";
import pg from "pg";

/**
 * Every statement here names its tenant, and finds its rows in an index that begins with the tenant, in the order of that
 * index where it takes the first few. Left to itself PostgreSQL reads every row of the tenant and sorts them where it has
 * no statistics yet, or where most tenants are small; and it plans again what is prepared.
 */
const PLANNING = "-c enable_seqscan=off -c enable_bitmapscan=off -c plan_cache_mode=force_generic_plan";

/** How long a connection is waited for. */
export const CONNECTION_TIMEOUT_MS = 2_000;

export interface PoolOptions {
  /** For the one role whose statements read a whole table, of all tenants. */
  readsTables?: boolean;
  /** Told at each checkout which share of `max` is in use, this one included. */
  onCheckout?: (use: number) => void;
}

/** Connections of one role. A connection that breaks while idle is dropped and logged, not thrown. */
export function createPool(url: string, log: Logger, max: number, { readsTables = false, onCheckout }: PoolOptions = {}): pg.Pool {
  const options = readsTables ? undefined : PLANNING;
  // Never `binary`: pg 8 decodes bytea through UTF-8 then, and corrupts it silently.
  const pool = new pg.Pool({
    connectionString: url, max, connectionTimeoutMillis: CONNECTION_TIMEOUT_MS, statement_timeout: 30_000, application_name: "memseal", options,
    // A statement and the transaction around it are sent together, and take one round trip.
    pipeline: true,
  });
  // A connection can break while a statement runs, too, and an error event that nobody hears ends the process.
  pool.on("connect", (client) => client.on("error", (error) => { log.warn("database connection lost", { error }); }));
  pool.on("error", () => undefined);
  if (onCheckout !== undefined) pool.on("acquire", () => { onCheckout((pool.totalCount - pool.idleCount) / max); });
  return pool;
}

/** Whether the database answers at all, and soon. */
export function isReachable(pool: pg.Pool, withinMs = 2_000): Promise<boolean> {
  const answers = pool.query("SELECT 1").then(() => true, () => false);
  return Promise.race([answers, delay(withinMs, false, { ref: false })]);
}
