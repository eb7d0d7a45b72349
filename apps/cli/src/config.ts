import { homedir } from "node:os";
import { join } from "node:path";
import { localDatabaseUrls } from "@memseal/storage";
import { z } from "zod";

/** The variables of the command line. */
export const cliConfig = z.object({
  /** State of the local installation. */
  MEMSEAL_HOME: z.string().default(join(homedir(), ".memseal")),
  /** The owner's connection; absent: the embedded database of MEMSEAL_HOME. */
  DATABASE_OWNER_URL: z.string().optional(),
  /** Absent: the secrets of MEMSEAL_HOME. */
  MEMSEAL_TENANT_SECRET_FILE: z.string().optional(),
  MEMSEAL_PEPPER_FILE: z.string().optional(),
});

/** The connection of the database's owner: the one that was given, or that of the embedded database. */
export function ownerUrl(config: z.infer<typeof cliConfig>): string {
  return config.DATABASE_OWNER_URL ?? localDatabaseUrls(join(config.MEMSEAL_HOME, "postgres")).owner;
}
