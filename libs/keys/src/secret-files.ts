import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, fstatSync, linkSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { isKeptSecret } from "@memseal/config";
import { KEY_BYTES, SecretBytes } from "@memseal/crypto";
import { StartupError } from "@memseal/errors";
import { developmentKeyFault } from "./development-keys.js";
import { rootKeyFiles } from "./root-key-files.js";

/** The three secrets of one installation, each its own file. None is derived from another. */
export const SECRET_FILES = { rootKey: "root.key", tenantSecret: "tenant.secret", pepper: "api-key.pepper" } as const;
export type SecretName = keyof typeof SECRET_FILES;
const NAMES = Object.keys(SECRET_FILES) as SecretName[];

/**
 * Reads one secret: exactly 32 random bytes in a file that is kept secret (`isKeptSecret`).
 * @throws StartupError that names the file and never its content
 */
export function loadSecret(file: string): SecretBytes {
  let fd: number;
  try {
    fd = openSync(file, "r");
  } catch (error) {
    throw new StartupError(`secret file ${file} cannot be read: restore it from your backup`, { cause: error });
  }
  try {
    if (!isKeptSecret(fstatSync(fd), process.geteuid?.())) throw new StartupError(`secret file ${file} is readable by others: chmod 600 it`);
    const bytes = readFileSync(fd);
    if (bytes.length !== KEY_BYTES) throw new StartupError(`secret file ${file} has ${bytes.length} bytes instead of ${KEY_BYTES}: restore it from your backup`);
    const fault = developmentKeyFault(bytes);
    if (fault !== undefined) throw new StartupError(`secret file ${file} ${fault}: restore it from your backup, or make one with \`head -c 32 /dev/urandom\` for a new installation`);
    const secret = SecretBytes.of(bytes);
    bytes.fill(0);
    return secret;
  } finally {
    closeSync(fd);
  }
}

export interface LocalSecrets {
  files: Readonly<Record<SecretName, string>>;
  /** True when this call made them. */
  created: boolean;
}

export interface LocalSecretsOptions {
  /** True when data sealed with these secrets may exist already: none is made then. */
  hasData: boolean;
}

/**
 * The secrets of a local installation in `dir`, made together at its first start and never again: a directory that
 * holds only some of them has lost the others, and one that holds none beside data has lost all.
 * @throws StartupError when one is missing, short, readable by others, or equal to another
 */
export function ensureLocalSecrets(dir: string, { hasData }: LocalSecretsOptions): LocalSecrets {
  const files = Object.fromEntries(NAMES.map((name) => [name, join(dir, SECRET_FILES[name])])) as Record<SecretName, string>;
  const rootKeys = [...rootKeyFiles(files.rootKey).values()];
  const missing = NAMES.filter((name) => (name === "rootKey" ? rootKeys.length === 0 : !existsSync(files[name])));
  const created = missing.length === NAMES.length;
  if (created && hasData) {
    throw new StartupError(`the secrets in ${dir} are gone, and without them what is stored can never be read: restore them from your backup`);
  }
  if (!created && missing.length > 0) {
    throw new StartupError(`secret file ${missing.map((name) => files[name]).join(", ")} is missing: restore it from your backup`);
  }
  if (created) createSecrets(dir);
  assertDistinct([...(created ? [files.rootKey] : rootKeys), files.tenantSecret, files.pepper]);
  return { files, created };
}

/** @throws StartupError when two files hold the same secret */
export function assertDistinct(files: readonly string[]): void {
  const secrets = files.map((file) => ({ file, bytes: loadSecret(file).reveal() }));
  for (const [i, { file, bytes }] of secrets.entries()) {
    const twin = secrets.slice(0, i).find((other) => other.bytes.equals(bytes));
    if (twin !== undefined) throw new StartupError(`secret files ${twin.file} and ${file} are equal: each must be random on its own`);
  }
}

/** All three or none: they are made in a directory beside `dir`, which then takes its place. @throws StartupError */
function createSecrets(dir: string): void {
  const partial = `${dir}.partial-${process.pid}`;
  // A process that died while it made them may have had this number.
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { mode: 0o700 });
  try {
    for (const name of NAMES) createSecretFile(join(partial, SECRET_FILES[name]));
    syncDirectory(partial);
    renameSync(partial, dir);
    syncDirectory(dirname(dir));
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw new StartupError(`secrets could not be made in ${dir} (${(error as NodeJS.ErrnoException).code}): it must be absent or an empty directory, no link and no mount point`, { cause: error });
  }
}

/** Writes 32 random bytes, mode 0600, through to the disk. Whoever looks sees all of them or no file. @throws Error of the file system, where it is there, too */
export function createSecretFile(file: string): void {
  const bytes = randomBytes(KEY_BYTES);
  const partial = `${file}.partial-${process.pid}`;
  // A process that died while it made one may have had this number.
  rmSync(partial, { force: true });
  const fd = openSync(partial, "wx", 0o600);
  try {
    writeSync(fd, bytes);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
    bytes.fill(0);
  }
  // A rename would replace one that somebody else made.
  linkSync(partial, file);
  rmSync(partial);
  syncDirectory(dirname(file));
}

/** Makes the names in a directory durable: those of new files are not by fsync of the files. */
export function syncDirectory(dir: string): void {
  const fd = openSync(dir, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
