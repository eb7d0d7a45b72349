import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatApiKey, generateApiKey, generateAssertionKeys, hashApiKeySecret } from "@memseal/auth";
import { userHash } from "@memseal/crypto";
import { loadSecret, type LocalSecrets } from "@memseal/keys";
import { createApiKey } from "@memseal/storage";

/** A Unix socket's path has at most 107 bytes on Linux and 103 on macOS. */
const MAX_SOCKET_PATH = 103;
const LONGEST_SOCKET_NAME = "/reranker.sock";
const FIRST_USER = "local";

/**
 * The installation's home, made if it is not there. For this user alone; made by root, it can be passed through,
 * since PostgreSQL then runs as another user. What is in it has its own modes.
 */
export function ensureHome(dir: string): string {
  mkdirSync(dir, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
  return dir;
}

/** A directory for this user alone. */
export function ensurePrivateDir(dir: string): string {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return dir;
}

/** Where the private services listen: in the home, or beside it where its path is too long for a socket. */
export function socketDir(home: string): string {
  const dir = join(home, "run");
  return Buffer.byteLength(dir + LONGEST_SOCKET_NAME) <= MAX_SOCKET_PATH ? ensurePrivateDir(dir) : mkdtempSync(join(tmpdir(), "memseal-run-"));
}

/** The gateway's Ed25519 pair of this run. */
export function writeAssertionKeys(dir: string): { privateKeyFile: string; publicKeyFile: string } {
  const { privateKey, publicKey } = generateAssertionKeys();
  const files = { privateKeyFile: join(dir, "assertion.key"), publicKeyFile: join(dir, "assertion.pub") };
  writePrivately(files.privateKeyFile, privateKey);
  writePrivately(files.publicKeyFile, publicKey);
  return files;
}

/** The key of the first user, made at the first start and kept beside the secrets, so that every start can show it. */
export async function firstApiKey(file: string, secrets: LocalSecrets, ownerUrl: string): Promise<string> {
  if (existsSync(file)) return readFileSync(file, "utf8");
  const key = generateApiKey();
  await createApiKey(ownerUrl, {
    keyId: key.keyId,
    secretHash: hashApiKeySecret(loadSecret(secrets.files.pepper), key.secret),
    tenant: userHash(loadSecret(secrets.files.tenantSecret), FIRST_USER),
    namespace: "default",
    scopes: ["read", "write"],
  });
  writePrivately(file, formatApiKey(key));
  return formatApiKey(key);
}

function writePrivately(file: string, text: string): void {
  writeFileSync(`${file}.partial`, text, { mode: 0o600 });
  // The mode of an existing file would stay as it was.
  chmodSync(`${file}.partial`, 0o600);
  renameSync(`${file}.partial`, file);
}
