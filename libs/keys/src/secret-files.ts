import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fsyncSync, fstatSync, linkSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { KEY_BYTES, SecretBytes } from "@memseal/crypto";
import { StartupError } from "@memseal/errors";

/** The three secrets of one installation, each its own file. None is derived from another. */
export const SECRET_FILES = { rootKey: "root.key", tenantSecret: "tenant.secret", pepper: "api-key.pepper" } as const;
export type SecretName = keyof typeof SECRET_FILES;
const NAMES = Object.keys(SECRET_FILES) as SecretName[];

/**
 * Reads one secret: exactly 32 bytes in a file that only its owner may read.
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
    if ((fstatSync(fd).mode & 0o077) !== 0) throw new StartupError(`secret file ${file} is readable by others: chmod 600 it`);
    const bytes = readFileSync(fd);
    if (bytes.length !== KEY_BYTES) throw new StartupError(`secret file ${file} has ${bytes.length} bytes instead of ${KEY_BYTES}: restore it from your backup`);
    if (bytes.every((byte) => byte === bytes[0])) throw new StartupError(`secret file ${file} is not random: restore it from your backup`);
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

/**
 * The secrets of a local installation, made together at its first start and never again: a directory that holds
 * only some of them has lost the others.
 * @throws StartupError when one is missing, short, readable by others, or equal to another
 */
export function ensureLocalSecrets(dir: string): LocalSecrets {
  const files = Object.fromEntries(NAMES.map((name) => [name, join(dir, SECRET_FILES[name])])) as Record<SecretName, string>;
  const missing = NAMES.filter((name) => !existsSync(files[name]));
  const created = missing.length === NAMES.length;
  if (!created && missing.length > 0) {
    throw new StartupError(`secret file ${missing.map((name) => files[name]).join(", ")} is missing: restore it from your backup`);
  }
  if (created) for (const name of NAMES) createSecretFile(files[name]);
  assertDistinct(NAMES.map((name) => files[name]));
  return { files, created };
}

/** @throws StartupError when two files hold the same secret */
export function assertDistinct(files: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const file of files) {
    const secret = loadSecret(file).reveal().toString("base64");
    const twin = seen.get(secret);
    if (twin !== undefined) throw new StartupError(`secret files ${twin} and ${file} are equal: each must be random on its own`);
    seen.set(secret, file);
  }
}

/** Writes 32 random bytes, mode 0600, whole or not at all; never over an existing file. */
function createSecretFile(file: string): void {
  const bytes = randomBytes(KEY_BYTES);
  const partial = `${file}.${process.pid}.partial`;
  const fd = openSync(partial, "wx", 0o600);
  try {
    writeSync(fd, bytes);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
    bytes.fill(0);
  }
  try {
    linkSync(partial, file);
  } finally {
    rmSync(partial);
  }
}
