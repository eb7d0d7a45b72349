import { decrypt, encrypt } from "./aead.js";
import { assembleBlob, associatedData, parseBlob, type Place } from "./envelope.js";
import { OpenError } from "./errors.js";
import type { Keyring } from "./keyring.js";
import { nextNonce } from "./nonce-pool.js";

/** plaintext to blob v1 under the keyring's primary key, bound to its place. */
export function seal(plaintext: Uint8Array, keyring: Keyring, place: Place): Buffer {
  const key = keyring.primary;
  const { header } = key;
  const nonce = nextNonce();
  const [ciphertext, tag] = encrypt(key.fieldKey(place.field), nonce, associatedData(header, place), plaintext);
  return assembleBlob(header, nonce, ciphertext, tag);
}

/**
 * blob v1 to plaintext. The key is the one the blob names, among this tenant's own; keys are never tried in turn.
 * @throws OpenError on any mismatch
 */
export function open(blob: Buffer, keyring: Keyring, place: Place): Buffer {
  const { kid, nonce, ciphertext, tag } = parseBlob(blob);
  const key = keyring.find(kid);
  if (key === undefined) throw new OpenError();
  return decrypt(key.fieldKey(place.field), nonce, associatedData(blob, place), ciphertext, tag);
}
