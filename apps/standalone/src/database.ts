import { join } from "node:path";
import { StartupError } from "@memseal/errors";
import { LocalDatabase, migrateUp, type RoleUrls } from "@memseal/storage";
import type { Logger } from "@memseal/telemetry";
import type { StandaloneConfig } from "./config.js";

export interface Database {
  /** Nothing that runs here is the scheduler. */
  urls: Omit<RoleUrls, "scheduler">;
  stop(): Promise<void>;
}

/** The embedded PostgreSQL, or the one that the three URLs name; its schema up to date. */
export async function openDatabase(config: StandaloneConfig, log: Logger): Promise<Database> {
  const { DATABASE_URL: app, DATABASE_AUTH_URL: auth, DATABASE_OWNER_URL: owner } = config;
  if (app === undefined && auth === undefined && owner === undefined) return LocalDatabase.start(join(config.MEMSEAL_HOME, "postgres"), log);
  if (app === undefined || auth === undefined || owner === undefined) {
    throw new StartupError("DATABASE_URL, DATABASE_AUTH_URL and DATABASE_OWNER_URL go together: set all three, or none for the embedded database");
  }
  await migrateUp(owner);
  return { urls: { app, auth, owner }, stop: () => Promise.resolve() };
}
