import { createSecretKey, randomBytes, type KeyObject } from "node:crypto";
import { SUITE, type Field } from "./envelope.js";
import { hkdf } from "./hkdf.js";
import { SecretBytes } from "./secret-bytes.js";

export const KEY_BYTES = 32;

/** What a tenant key is for; the byte in the HKDF info and in the wrapping's associated data. */
export const PURPOSE = { seal: 1, reference: 2 } as const;
export type Purpose = keyof typeof PURPOSE;

/**
 * One version of a tenant's seal key. Its field keys come from HKDF with
 * info = "memseal/v1/" | suite u8 | purpose u8 | field u8; its id commits to the key itself.
 */
export class TenantKey {
  readonly #fieldKeys = new Map<Field, KeyObject>();
  readonly #key: SecretBytes;
  /** 32 bytes that no other key has (HKDF info "memseal/v1/commit"); stored beside the wrapped key. */
  readonly commitment: Buffer;
  /** The commitment's first 16 bytes: the key id in every blob. */
  readonly kid: Buffer;

  private constructor(key: SecretBytes) {
    this.#key = key;
    this.commitment = hkdf(key.reveal(), Buffer.from("memseal/v1/commit"));
    this.kid = this.commitment.subarray(0, 16);
  }

  static generate(): TenantKey {
    return new TenantKey(SecretBytes.of(randomBytes(KEY_BYTES)));
  }

  /** key: 32 bytes. */
  static of(key: SecretBytes): TenantKey {
    if (key.byteLength !== KEY_BYTES) throw new RangeError("a tenant key has 32 bytes");
    return new TenantKey(key);
  }

  fieldKey(field: Field): KeyObject {
    let key = this.#fieldKeys.get(field);
    if (key === undefined) {
      const info = Buffer.concat([Buffer.from("memseal/v1/"), Buffer.from([SUITE, PURPOSE.seal, field])]);
      const bytes = hkdf(this.#key.reveal(), info);
      key = createSecretKey(bytes);
      bytes.fill(0);
      this.#fieldKeys.set(field, key);
    }
    return key;
  }

  /** For wrapping by the root key; do not keep. */
  revealForWrapping(): Uint8Array {
    return this.#key.reveal();
  }

  toJSON(): string {
    return "[tenant key]";
  }
}
