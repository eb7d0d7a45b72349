import { createHash, createHmac } from "node:crypto";
import { InvalidArgumentError } from "@memseal/errors";
import type { SecretBytes } from "./secret-bytes.js";

declare const userHashBrand: unique symbol;

/** A tenant: HMAC-SHA256 of a user id, as 64 lower-case hex digits. */
export type UserHash = string & { readonly [userHashBrand]: never };

/** The namespace of credentials that are bound to no other. */
export const DEFAULT_NAMESPACE = "default";
const MAX_NAMESPACE_BYTES = 255;

/**
 * The tenant of a user id: HMAC-SHA256(tenant secret, user id) in the default namespace, in others
 * HMAC-SHA256(tenant secret, 0x00 | u16 length | namespace | user id). No user id begins with NUL and every length is
 * written, so no two users of any two namespaces meet.
 * @throws InvalidArgumentError for a user id or namespace that is empty, or holds NUL or a lone surrogate
 */
export function userHash(tenantSecret: SecretBytes, userId: string, namespace: string = DEFAULT_NAMESPACE): UserHash {
  const mac = createHmac("sha256", tenantSecret.reveal());
  const id = nameBytes(userId, "user_id");
  if (namespace !== DEFAULT_NAMESPACE) {
    const name = nameBytes(namespace, "namespace");
    if (name.length > MAX_NAMESPACE_BYTES) throw new InvalidArgumentError("namespace", `must have at most ${MAX_NAMESPACE_BYTES} bytes`);
    const prefix = Buffer.alloc(3);
    prefix.writeUInt16BE(name.length, 1);
    mac.update(prefix).update(name);
  }
  return mac.update(id).digest("hex") as UserHash;
}

/**
 * Under what name an erasure's receipt is kept: HMAC-SHA256(tenant secret, "erasure" | 0x00 | tenant | 0x00 | idempotency key), 64 hex.
 * The keys that make a tenant's other references are gone by then. No user id holds NUL and no other namespace begins so, so it
 * is nobody's tenant.
 */
export function erasureName(tenantSecret: SecretBytes, tenant: UserHash, idempotencyKey: string): string {
  return createHmac("sha256", tenantSecret.reveal()).update(`erasure\0${tenant}\0${idempotencyKey}`).digest("hex");
}

function nameBytes(name: string, field: string): Buffer {
  if (name === "" || name.includes("\0") || !name.isWellFormed()) {
    throw new InvalidArgumentError(field, "must not be empty and holds no NUL and no lone surrogate");
  }
  return Buffer.from(name, "utf8");
}

/** @throws InvalidArgumentError unless 64 lower-case hex digits */
export function parseUserHash(text: string): UserHash {
  if (!/^[0-9a-f]{64}$/.test(text)) throw new InvalidArgumentError("tenant", "must be 64 lower-case hex digits");
  return text as UserHash;
}

/** 16 bytes of a UUID. @throws InvalidArgumentError */
export function uuidBytes(uuid: string): Buffer {
  const hex = uuid.replaceAll("-", "");
  if (!/^[0-9a-f]{32}$/.test(hex)) throw new InvalidArgumentError("id", "must be a UUID");
  return Buffer.from(hex, "hex");
}

/** The row id that a chunk's associated data carries: SHA-256(memory id | generation u32 | chunk_no u32), first 16 bytes. */
export function chunkRowId(memoryId: string, generation: number, chunkNo: number): Buffer {
  const suffix = Buffer.alloc(8);
  suffix.writeUInt32BE(generation, 0);
  suffix.writeUInt32BE(chunkNo, 4);
  return createHash("sha256").update(uuidBytes(memoryId)).update(suffix).digest().subarray(0, 16);
}
