import { NONCE_BYTES, TAG_BYTES } from "./aead.js";
import { OpenError } from "./errors.js";
import type { UserHash } from "./tenant.js";

/*
 * Blob v1, 48 bytes longer than its plaintext:
 *   "M1"(2) | format(1) | suite(1) | kid(16) | nonce(12) | ciphertext | tag(16)
 */
const MAGIC = Buffer.from("M1");
export const FORMAT = 1;
/** AES-256-GCM with HKDF-SHA256 field keys. */
export const SUITE = 1;
const KID_BYTES = 16;
const KID_AT = 4;
export const HEADER_BYTES = KID_AT + KID_BYTES;
const NONCE_AT = HEADER_BYTES;
const CIPHERTEXT_AT = NONCE_AT + NONCE_BYTES;
export const OVERHEAD_BYTES = CIPHERTEXT_AT + TAG_BYTES;

/** Which field of a row a blob is; the byte in the field key's HKDF info and in the associated data. */
export const FIELD = { text: 1, metadata: 2, embedding: 3, idempotentResponse: 4 } as const;
export type Field = (typeof FIELD)[keyof typeof FIELD];

/** Where a blob belongs. It opens nowhere else. */
export interface Place {
  tenant: UserHash;
  /** 16 bytes: a memory's id, or chunkRowId() of a chunk. */
  rowId: Uint8Array;
  field: Field;
  rowVersion: number;
}

export interface Envelope {
  header: Buffer;
  kid: Buffer;
  nonce: Buffer;
  ciphertext: Buffer;
  tag: Buffer;
}

/** The first 20 bytes of a blob sealed under `kid`. */
export function blobHeader(kid: Uint8Array): Buffer {
  return Buffer.concat([MAGIC, Buffer.from([FORMAT, SUITE]), kid]);
}

/** @throws OpenError unless it is a whole blob of a known format and suite */
export function parseBlob(blob: Buffer): Envelope {
  if (
    blob.length < OVERHEAD_BYTES ||
    !blob.subarray(0, MAGIC.length).equals(MAGIC) ||
    blob[MAGIC.length] !== FORMAT ||
    blob[MAGIC.length + 1] !== SUITE
  ) {
    throw new OpenError();
  }
  return {
    header: blob.subarray(0, HEADER_BYTES),
    kid: blob.subarray(KID_AT, HEADER_BYTES),
    nonce: blob.subarray(NONCE_AT, CIPHERTEXT_AT),
    ciphertext: blob.subarray(CIPHERTEXT_AT, blob.length - TAG_BYTES),
    tag: blob.subarray(blob.length - TAG_BYTES),
  };
}

/**
 * header[0..20) | u16 tenant length (32) | tenant (32) | row id (16) | field u8 | row version u64.
 * Every part is of fixed size or length-prefixed, so no two places share an encoding.
 */
export function associatedData(header: Uint8Array, { tenant, rowId, field, rowVersion }: Place): Buffer {
  if (rowId.byteLength !== 16) throw new RangeError("a row id has 16 bytes");
  const aad = Buffer.allocUnsafe(HEADER_BYTES + 2 + 32 + 16 + 1 + 8);
  aad.set(header, 0);
  aad.writeUInt16BE(32, HEADER_BYTES);
  aad.write(tenant, HEADER_BYTES + 2, 32, "hex");
  aad.set(rowId, HEADER_BYTES + 34);
  aad.writeUInt8(field, HEADER_BYTES + 50);
  aad.writeBigUInt64BE(BigInt(rowVersion), HEADER_BYTES + 51);
  return aad;
}
