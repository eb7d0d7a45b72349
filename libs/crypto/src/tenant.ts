import { createHash, createHmac } from "node:crypto";
import { InvalidArgumentError } from "@memseal/errors";
import type { SecretBytes } from "./secret-bytes.js";

declare const userHashBrand: unique symbol;

/** A tenant: HMAC-SHA256 of a user id, as 64 lower-case hex digits. */
export type UserHash = string & { readonly [userHashBrand]: never };

/** The tenant of a user id in the default namespace. */
export function userHash(tenantSecret: SecretBytes, userId: string): UserHash {
  if (userId === "" || userId.includes("\0") || !userId.isWellFormed()) {
    throw new InvalidArgumentError("user_id", "must not be empty and holds no NUL and no lone surrogate");
  }
  return createHmac("sha256", tenantSecret.reveal()).update(userId, "utf8").digest("hex") as UserHash;
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
