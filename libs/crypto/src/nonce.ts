import { randomFillSync } from "node:crypto";
import { NONCE_BYTES } from "./aead.js";

const POOL_NONCES = 512;
/** A machine snapshot clones what is left of a pool: an old pool is thrown away. */
const MAX_AGE_MS = 1_000;

const pool = Buffer.alloc(POOL_NONCES * NONCE_BYTES);
let used = pool.length;
let filledAt = -Infinity;

/** 12 fresh random bytes. From a pool: one call to the generator costs as much as the encryption. */
export function nextNonce(): Buffer {
  const now = performance.now();
  if (used >= pool.length || now - filledAt > MAX_AGE_MS) {
    randomFillSync(pool);
    used = 0;
    filledAt = now;
  }
  // A copy: the pool's bytes are overwritten by the next fill.
  const nonce = Buffer.from(pool.subarray(used, used + NONCE_BYTES));
  used += NONCE_BYTES;
  return nonce;
}
