import { createSecretKey, randomBytes, timingSafeEqual, type KeyObject } from "node:crypto";
import { inspect } from "node:util";
import { SUITE } from "./envelope.js";
import { KeysChangedError } from "./errors.js";
import { hkdf } from "./hkdf.js";
import { SecretBytes } from "./secret-bytes.js";

export const KEY_BYTES = 32;

/** What a tenant key is for; the byte in the HKDF info and in the wrapping's associated data. */
export const PURPOSE = { seal: 1, reference: 2 } as const;
export type Purpose = keyof typeof PURPOSE;

/** 32 random bytes for a new tenant key. Zero them once they are wrapped. */
export function generateKey(): SecretBytes {
  const bytes = randomBytes(KEY_BYTES);
  const key = SecretBytes.of(bytes);
  bytes.fill(0);
  return key;
}

/**
 * One version of one tenant's key, for one purpose: what was derived from its 32 bytes, which it does not keep. A key
 * for each use comes from HKDF with info = "memseal/v1/" | suite u8 | purpose u8 | use u8.
 */
export abstract class KeyMaterial<Use extends number> {
  /** 32 bytes that no other key has (HKDF info "memseal/v1/commit"); stored beside the wrapped key. */
  readonly commitment: Buffer;
  /** The commitment's first 16 bytes: the key id, in every blob that a seal key made. */
  readonly kid: Buffer;
  readonly #keys: Map<Use, KeyObject>;

  /** key: 32 bytes. */
  protected constructor(key: SecretBytes, purpose: Purpose, uses: readonly Use[]) {
    if (key.byteLength !== KEY_BYTES) throw new RangeError("a tenant key has 32 bytes");
    const bytes = key.reveal();
    this.commitment = hkdf(bytes, Buffer.from("memseal/v1/commit"));
    this.kid = this.commitment.subarray(0, 16);
    this.#keys = new Map(uses.map((use) => [use, deriveKey(bytes, purpose, use)]));
  }

  /** Whether this is the key that a record of it was written for. Takes the same time for every answer of a length. */
  commitsTo(commitment: Uint8Array): boolean {
    return commitment.byteLength === this.commitment.byteLength && timingSafeEqual(this.commitment, commitment);
  }

  /** Lets go of what was derived: nothing seals, opens or refers with it any more. */
  destroy(): void {
    this.#keys.clear();
  }

  /** @throws KeysChangedError once destroyed: whoever still holds it began before the tenant's keys changed */
  protected keyFor(use: Use): KeyObject {
    const key = this.#keys.get(use);
    if (key === undefined) throw new KeysChangedError();
    return key;
  }

  toJSON(): string {
    return "[tenant key]";
  }

  [inspect.custom](): string {
    return "[tenant key]";
  }
}

/** A KeyObject keeps its bytes outside of JavaScript's heap, and OpenSSL clears them when it goes. */
function deriveKey(key: Uint8Array, purpose: Purpose, use: number): KeyObject {
  const bytes = hkdf(key, Buffer.concat([Buffer.from("memseal/v1/"), Buffer.from([SUITE, PURPOSE[purpose], use])]));
  const derived = createSecretKey(bytes);
  bytes.fill(0);
  return derived;
}
