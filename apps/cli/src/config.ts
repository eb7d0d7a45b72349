import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { SecretBytes } from "@memseal/crypto";
import { StartupError } from "@memseal/errors";
import { FileRootKeys, loadSecret, SECRET_FILES, type SecretName } from "@memseal/keys";
import { localDatabaseUrls } from "@memseal/storage";
import { z } from "zod";

/** The variables of the command line. */
export const cliConfig = z.object({
  /** State of the local installation. */
  MEMSEAL_HOME: z.string().default(join(homedir(), ".memseal")),
  /** Where the gateway's HTTP is. */
  MEMSEAL_URL: z.string().optional(),
  MEMSEAL_API_KEY: z.string().optional(),
  /** The owner's connection; absent: the embedded database of MEMSEAL_HOME. */
  DATABASE_OWNER_URL: z.string().optional(),
  /** Absent: the secrets of MEMSEAL_HOME. */
  MEMSEAL_TENANT_SECRET_FILE: z.string().optional(),
  MEMSEAL_PEPPER_FILE: z.string().optional(),
  MEMSEAL_ROOT_KEY_FILE: z.string().optional(),
  /** Models beside those that ship; absent: in MEMSEAL_HOME. */
  MEMSEAL_MODELS_DIR: z.string().optional(),
  /** Where `models pull` fetches from. */
  MEMSEAL_MODEL_HUB: z.string().optional(),
  /** Roles that `doctor` looks at; absent: those of the embedded database. */
  DATABASE_URL: z.string().optional(),
  DATABASE_AUTH_URL: z.string().optional(),
  DATABASE_SCHEDULER_URL: z.string().optional(),
});

/** Where models are beside those that ship. */
export function modelsDir({ MEMSEAL_HOME: home, MEMSEAL_MODELS_DIR: given }: z.infer<typeof cliConfig>): string {
  return given ?? join(home, "models");
}

/** The connection of the database's owner: the one that was given, or that of the embedded database. */
export function ownerUrl(config: z.infer<typeof cliConfig>): string {
  return config.DATABASE_OWNER_URL ?? localDatabaseUrls(join(config.MEMSEAL_HOME, "postgres")).owner;
}

/** The scheduler's connection, which lists tenants: the one that was given, or that of the embedded database. */
export function schedulerUrl(config: z.infer<typeof cliConfig>): string {
  return config.DATABASE_SCHEDULER_URL ?? localDatabaseUrls(join(config.MEMSEAL_HOME, "postgres")).scheduler;
}

/** The file of a secret: the one that was given, or that of the local installation. */
export function secretFile(config: z.infer<typeof cliConfig>, name: SecretName): string {
  const given: Readonly<Record<SecretName, string | undefined>> = {
    rootKey: config.MEMSEAL_ROOT_KEY_FILE, tenantSecret: config.MEMSEAL_TENANT_SECRET_FILE, pepper: config.MEMSEAL_PEPPER_FILE,
  };
  return given[name] ?? join(config.MEMSEAL_HOME, "secrets", SECRET_FILES[name]);
}

/** @throws StartupError as `loadSecret`, and for a local installation that never was */
export function openSecret(config: z.infer<typeof cliConfig>, name: Exclude<SecretName, "rootKey">): SecretBytes {
  return loadSecret(startedFile(config, name));
}

/** Every version of the root key that is there. @throws StartupError as `openSecret` */
export function openRootKeys(config: z.infer<typeof cliConfig>): FileRootKeys {
  return FileRootKeys.open(startedFile(config, "rootKey"));
}

/** @throws StartupError for a local installation that never was */
function startedFile(config: z.infer<typeof cliConfig>, name: SecretName): string {
  const { MEMSEAL_HOME: home } = config;
  const file = secretFile(config, name);
  // Of an installation that has lost its secrets, something else is there.
  if (file.startsWith(join(home, "secrets")) && !["secrets", "postgres", "api-key"].some((part) => existsSync(join(home, part)))) {
    throw new StartupError(`nothing was started in ${home} yet: run \`memseal start\` first, or set MEMSEAL_HOME to where it was`);
  }
  return file;
}
