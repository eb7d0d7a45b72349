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
export const FIELD = { text: 1, metadata: 2, embedding: 3, idempotentResponse: 4, cursor: 5 } as const;
export type Field = (typeof FIELD)[keyof typeof FIELD];

/** Where a blob belongs. It opens nowhere else. */
export interface Place {
  tenant: UserHash;
  /** 16 bytes: a memory's id, or chunkRowId() of a chunk. */
  rowId: Uint8Array;
  field: Field;
  rowVersion: number;
}

/** The parts of a blob; views of it, not copies. */
export interface Envelope {
  kid: Uint8Array;
  nonce: Uint8Array;
  ciphertext: Uint8Array;
  tag: Uint8Array;
}

/** The first 20 bytes of a blob sealed under `kid`. */
export function blobHeader(kid: Uint8Array): Buffer {
  return Buffer.concat([MAGIC, Buffer.from([FORMAT, SUITE]), kid]);
}

/** A whole blob from its parts. One copy: Buffer.concat costs more. */
export function assembleBlob(header: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array, tag: Uint8Array): Buffer {
  const blob = blobOf(OVERHEAD_BYTES + ciphertext.byteLength);
  blob.set(header, 0);
  blob.set(nonce, NONCE_AT);
  blob.set(ciphertext, CIPHERTEXT_AT);
  blob.set(tag, CIPHERTEXT_AT + ciphertext.byteLength);
  return blob;
}

const SLAB_BYTES = 65_536;
let slab = new ArrayBuffer(SLAB_BYTES);
let slabUsed = 0;

/** Small blobs are cut from one piece of memory: one for each would be a sixth of sealing a kilobyte. Whatever shares it is ciphertext. */
function blobOf(bytes: number): Buffer {
  if (bytes > SLAB_BYTES / 8) return Buffer.allocUnsafeSlow(bytes);
  if (slabUsed + bytes > SLAB_BYTES) {
    slab = new ArrayBuffer(SLAB_BYTES);
    slabUsed = 0;
  }
  const blob = Buffer.from(slab, slabUsed, bytes);
  slabUsed += bytes;
  return blob;
}

/** @throws OpenError unless it is a whole blob of a known format and suite */
export function parseBlob(blob: Buffer): Envelope {
  if (blob.length < OVERHEAD_BYTES || blob[0] !== MAGIC[0] || blob[1] !== MAGIC[1] || blob[2] !== FORMAT || blob[3] !== SUITE) throw new OpenError();
  const tagAt = blob.length - TAG_BYTES;
  return {
    kid: view(blob, KID_AT, HEADER_BYTES),
    nonce: view(blob, NONCE_AT, CIPHERTEXT_AT),
    ciphertext: view(blob, CIPHERTEXT_AT, tagAt),
    tag: view(blob, tagAt, blob.length),
  };
}

/** A plain Uint8Array: Buffer's own subarray takes several times as long. */
function view(blob: Buffer, start: number, end: number): Uint8Array {
  return new Uint8Array(blob.buffer, blob.byteOffset + start, end - start);
}

const TENANT_BYTES = 32;
const ROW_ID_BYTES = 16;
const TENANT_AT = HEADER_BYTES + 2;
const ROW_ID_AT = TENANT_AT + TENANT_BYTES;
const FIELD_AT = ROW_ID_AT + ROW_ID_BYTES;
const ROW_VERSION_AT = FIELD_AT + 1;
// One for all calls: it is used up before anything else can run, and making it costs as much as filling it.
const AAD = new Uint8Array(ROW_VERSION_AT + 8);
const AAD_VIEW = new DataView(AAD.buffer);
AAD_VIEW.setUint16(HEADER_BYTES, TENANT_BYTES);

/**
 * The associated data of a blob that starts with `header` (or that is `header`):
 * header[0..20) | u16 tenant length (32) | tenant (32) | row id (16) | field u8 | row version u64.
 * Every part is of fixed size or length-prefixed, so no two places share an encoding.
 * The array is overwritten by the next call.
 */
export function associatedData(header: Uint8Array, { tenant, rowId, field, rowVersion }: Place): Uint8Array {
  if (rowId.byteLength !== ROW_ID_BYTES) throw new RangeError("a row id has 16 bytes");
  if (!Number.isSafeInteger(rowVersion) || rowVersion < 0) throw new RangeError("a row version is a whole number from 0");
  for (let i = 0; i < HEADER_BYTES; i++) AAD[i] = header[i];
  AAD.set(tenantBytes(tenant), TENANT_AT);
  AAD.set(rowId, ROW_ID_AT);
  AAD[FIELD_AT] = field;
  AAD_VIEW.setUint32(ROW_VERSION_AT, Math.floor(rowVersion / 2 ** 32));
  AAD_VIEW.setUint32(ROW_VERSION_AT + 4, rowVersion % 2 ** 32);
  return AAD;
}

let lastTenant: UserHash | undefined;
let lastTenantBytes = Buffer.alloc(TENANT_BYTES);

/** A batch is of one tenant, and reading its hash costs as much as the rest of the associated data. */
function tenantBytes(tenant: UserHash): Buffer {
  if (tenant !== lastTenant) {
    lastTenantBytes = Buffer.from(tenant, "hex");
    if (lastTenantBytes.length !== TENANT_BYTES) throw new RangeError("a tenant is 64 hex digits");
    lastTenant = tenant;
  }
  return lastTenantBytes;
}
