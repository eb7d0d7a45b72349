import { createPublicKey } from "node:crypto";
import { accessSync, chmodSync, constants, existsSync, lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatApiKey, generateApiKey, generateAssertionKeys, hashApiKeySecret, parseApiKey, type ApiKey } from "@memseal/auth";
import { userHash } from "@memseal/crypto";
import { AppError, StartupError } from "@memseal/errors";
import { loadSecret, type ApiKeyMacs, type LocalSecrets } from "@memseal/keys";
import { createApiKey, type Authenticity, type ListedApiKey } from "@memseal/storage";
import type { Logger } from "@memseal/telemetry";

const FIRST_USER = "local";
const API_KEY_FILE = "api-key";

/**
 * The installation's home, made if it is not there. For this user alone; made by root, it can be passed through,
 * since PostgreSQL then runs as another user. What is in it has its own modes.
 * @throws StartupError when it cannot be made, or nothing can be written there
 */
export function ensureHome(dir: string): string {
  try {
    mkdirSync(dir, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
    accessSync(dir, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new StartupError(`MEMSEAL_HOME ${dir} cannot be used (${(cause as NodeJS.ErrnoException).code}): choose a folder that this user may write to`, { cause });
  }
  return dir;
}

/**
 * Whether this home was used before: then its secrets exist, or are lost. What a database elsewhere holds is not
 * known here: its owner sees no tenant's rows.
 */
export function hasData(home: string): boolean {
  // A link to a database that is gone counts too.
  return ["postgres", API_KEY_FILE].some((name) => lstatSync(join(home, name), { throwIfNoEntry: false }) !== undefined);
}

/** The gateway's Ed25519 pair of this run. */
export function writeAssertionKeys(dir: string): { privateKeyFile: string; publicKeyFile: string } {
  const { privateKey, publicKey } = generateAssertionKeys();
  const files = { privateKeyFile: join(dir, "assertion.key"), publicKeyFile: join(dir, "assertion.pub") };
  writePrivately(files.privateKeyFile, privateKey);
  writePrivately(files.publicKeyFile, publicKey);
  return files;
}

/**
 * The Ed25519 pair that receipts of erasures are signed with: made once and kept beside the secrets, since receipts are verified years
 * later. publicDir: of this run. @throws StartupError when the file holds no key
 */
export function ensureReceiptKeys(secretsDir: string, publicDir: string): { privateKeyFile: string; publicKeyFile: string } {
  const files = { privateKeyFile: join(secretsDir, "receipt.key"), publicKeyFile: join(publicDir, "receipt.pub") };
  if (!existsSync(files.privateKeyFile)) writePrivately(files.privateKeyFile, generateAssertionKeys().privateKey);
  try {
    writePrivately(files.publicKeyFile, createPublicKey(readFileSync(files.privateKeyFile)).export({ type: "spki", format: "pem" }).toString());
  } catch (cause) {
    throw new StartupError(`${files.privateKeyFile} holds no key: restore it, or remove it to have another one made, which verifies none of the receipts before`, { cause });
  }
  return files;
}

/**
 * The key of the first user, made at the first start and kept beside the secrets, so that every start can show it.
 * Each start sees to it that the database knows it: that may be another one than last time.
 * @throws StartupError when file, secrets and database do not belong together
 */
export async function firstApiKey(home: string, secrets: LocalSecrets, { ownerUrl, macs }: { ownerUrl: string; macs: ApiKeyMacs }): Promise<string> {
  const file = join(home, API_KEY_FILE);
  const key = readApiKey(file) ?? generateApiKey();
  try {
    await createApiKey(ownerUrl, macs, {
      keyId: key.keyId,
      secretHash: hashApiKeySecret(loadSecret(secrets.files.pepper), key.secret),
      tenant: userHash(loadSecret(secrets.files.tenantSecret), FIRST_USER),
      namespace: "default",
      scopes: ["read", "write"],
    });
  } catch (cause) {
    if (!(cause instanceof AppError && cause.code === "already_exists")) throw cause;
    throw new StartupError(`the secrets are not those that the key in ${file} was made with: restore them from your backup`, { cause });
  }
  writePrivately(file, formatApiKey(key));
  return formatApiKey(key);
}

const WHAT_TO_DO = {
  unauthenticated: "an earlier release made them: see `memseal keys list`, then `memseal keys vouch`",
  altered: "their rows are not as they were written, or the root key is another: see `memseal keys list`, revoke them, make new ones",
} as const satisfies Partial<Record<Authenticity, string>>;

/** Says in the log how many keys the indexer would refuse, and what to do. */
export function warnOfRefused(keys: readonly ListedApiKey[], log: Logger): void {
  for (const authenticity of ["unauthenticated", "altered"] as const) {
    const count = keys.filter((key) => key.authenticity === authenticity).length;
    if (count > 0) log.warn("api keys would be refused", { count, reason: WHAT_TO_DO[authenticity] });
  }
}

function readApiKey(file: string): ApiKey | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return parseApiKey(readFileSync(file, "utf8").trim());
  } catch (cause) {
    throw new StartupError(`${file} holds no API key: restore it, or remove it to have a new one made`, { cause });
  }
}

function writePrivately(file: string, text: string): void {
  writeFileSync(`${file}.partial`, text, { mode: 0o600 });
  // The mode of an existing file would stay as it was.
  chmodSync(`${file}.partial`, 0o600);
  renameSync(`${file}.partial`, file);
}
