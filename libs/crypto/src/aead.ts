import { createCipheriv, createDecipheriv, type KeyObject } from "node:crypto";
import { OpenError } from "./errors.js";

/** AES-256-GCM as NIST SP 800-38D uses it: 96-bit nonce, 128-bit tag. */
const CIPHER = "aes-256-gcm";
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
// To open without it is to accept tags of 4, 8 and 12 to 15 bytes, too. What is sealed has 16 by default.
const OPTIONS = { authTagLength: TAG_BYTES };

/** Returns ciphertext and tag. */
export function encrypt(key: KeyObject, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): [ciphertext: Buffer, tag: Buffer] {
  const cipher = createCipheriv(CIPHER, key, nonce);
  cipher.setAAD(aad);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return [ciphertext, cipher.getAuthTag()];
}

/** @throws OpenError unless key, nonce, aad, ciphertext and tag belong together */
export function decrypt(key: KeyObject, nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array, tag: Uint8Array): Buffer {
  try {
    const decipher = createDecipheriv(CIPHER, key, nonce, OPTIONS);
    decipher.setAAD(aad);
    decipher.setAuthTag(tag);
    // Not verified before final(): nobody sees it until then.
    const plaintext = decipher.update(ciphertext);
    decipher.final();
    return plaintext;
  } catch {
    throw new OpenError();
  }
}
