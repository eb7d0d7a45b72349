import { join } from "node:path";
import { StartupError } from "@memseal/errors";
import { LocalDatabase, migrateUp, type RoleUrls } from "@memseal/storage";
import type { Logger } from "@memseal/telemetry";
import type { StandaloneConfig } from "./config.js";

export interface Database {
  urls: RoleUrls;
  stop(): Promise<void>;
}

/** The embedded PostgreSQL, or the one that the four URLs name; its schema up to date. */
export async function openDatabase(config: StandaloneConfig, log: Logger): Promise<Database> {
  const { DATABASE_URL: app, DATABASE_AUTH_URL: auth, DATABASE_SCHEDULER_URL: scheduler, DATABASE_OWNER_URL: owner } = config;
  if ([app, auth, scheduler, owner].every((url) => url === undefined)) return LocalDatabase.start(join(config.MEMSEAL_HOME, "postgres"), log);
  if (app === undefined || auth === undefined || scheduler === undefined || owner === undefined) {
    throw new StartupError("DATABASE_URL, DATABASE_AUTH_URL, DATABASE_SCHEDULER_URL and DATABASE_OWNER_URL go together: set all four, or none for the embedded database");
  }
  await migrateUp(owner);
  return { urls: { app, auth, scheduler, owner }, stop: () => Promise.resolve() };
}
