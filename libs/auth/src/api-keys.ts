import { createHmac, randomBytes } from "node:crypto";
import { UnauthenticatedError } from "@memseal/errors";
import type { SecretBytes } from "@memseal/crypto";

const SECRET_BYTES = 32;
const KEY_ID_BYTES = 9;
const FORM = /^msk_([A-Za-z0-9]{12})_([A-Za-z0-9_-]{43})$/;

export interface ApiKey {
  /** Public: 12 letters and digits. */
  keyId: string;
  /** 256 random bits. */
  secret: Buffer;
}

export function generateApiKey(): ApiKey {
  // Letters and digits alone, so that the id cannot hold the separator.
  let keyId = "";
  while (keyId.length < 12) keyId += randomBytes(KEY_ID_BYTES).toString("base64").replaceAll(/[^A-Za-z0-9]/g, "");
  return { keyId: keyId.slice(0, 12), secret: randomBytes(SECRET_BYTES) };
}

/** `msk_<key id>_<secret>`, the form a caller sends. */
export function formatApiKey({ keyId, secret }: ApiKey): string {
  return `msk_${keyId}_${secret.toString("base64url")}`;
}

/** Whether a credential says that it is an API key. */
export function isApiKey(text: string): boolean {
  return text.startsWith("msk_");
}

/** @throws UnauthenticatedError */
export function parseApiKey(text: string): ApiKey {
  const [, keyId, secret] = FORM.exec(text) ?? [];
  if (keyId === undefined || secret === undefined) throw new UnauthenticatedError();
  return { keyId, secret: Buffer.from(secret, "base64url") };
}

/** HMAC-SHA256(pepper, secret): what is stored, and all that leaves the gateway. */
export function hashApiKeySecret(pepper: SecretBytes, secret: Uint8Array): Buffer {
  return createHmac("sha256", pepper.reveal()).update(secret).digest();
}
