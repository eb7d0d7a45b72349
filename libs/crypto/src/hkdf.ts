import { hkdfSync } from "node:crypto";

const EMPTY = Buffer.alloc(0);

/** HKDF-SHA256 with empty salt, 32 bytes that share no memory with anything else. Source: RFC 5869. */
export function hkdf(key: Uint8Array, info: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", key, EMPTY, info, 32));
}
