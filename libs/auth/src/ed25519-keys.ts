import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { StartupError } from "@memseal/errors";

// createPublicKey would take a private key, too, and derive the public one.
export const PRIVATE_PEM = /PRIVATE KEY-----/;

/** What a pair of keys is for, as messages name it. */
type Use = "assertion" | "receipt";

/** A signing key. @throws StartupError unless the file holds an Ed25519 private key in PEM */
export function loadSigningKey(file: string, use: Use = "assertion"): KeyObject {
  return loadKey(file, use, createPrivateKey);
}

/** Public keys by their ids. @throws StartupError unless every file holds an Ed25519 public key in PEM, and no private one */
export function loadVerifyingKeys(files: readonly string[], use: Use = "assertion"): Map<string, KeyObject> {
  const keys = files.map((file) => loadKey(file, use, createPublicKey, PRIVATE_PEM));
  return new Map(keys.map((key) => [keyIdOf(key), key]));
}

/** SHA-256 of the public key, first 8 bytes. */
export function keyIdOf(publicKey: KeyObject): string {
  return createHash("sha256").update(publicKey.export({ type: "spki", format: "der" })).digest("hex").slice(0, 16);
}

function loadKey(file: string, use: Use, parse: (pem: string) => KeyObject, refused?: RegExp): KeyObject {
  let pem: string;
  let key: KeyObject;
  try {
    pem = readFileSync(file, "utf8");
    key = parse(pem);
  } catch (error) {
    throw new StartupError(`${use} key file ${file} cannot be read as a PEM key`, { cause: error });
  }
  if (refused?.test(pem)) throw new StartupError(`${use} key file ${file} holds a private key: whoever verifies must have the public key only`);
  if (key.asymmetricKeyType !== "ed25519") throw new StartupError(`${use} key file ${file} must hold an Ed25519 key`);
  return key;
}
