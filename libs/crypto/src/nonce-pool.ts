import { randomFillSync } from "node:crypto";
import { NONCE_BYTES } from "./aead.js";

const POOL_NONCES = 512;
/** A machine snapshot clones what is left of a pool: an old pool is thrown away. */
const MAX_AGE_MS = 1_000;

/** Random nonces of 12 bytes, many from one call to the generator: a call for each costs as much as the encryption. */
export class NoncePool {
  readonly #pool = new Uint8Array(POOL_NONCES * NONCE_BYTES);
  #used = this.#pool.length;
  #filledAt = -Infinity;

  /** now: a monotonic clock in milliseconds; fill: writes random bytes. */
  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly fill: (bytes: Uint8Array) => void = randomFillSync,
  ) {}

  /** 12 fresh random bytes, a copy: the pool's own are overwritten by the next fill. */
  next(): Uint8Array {
    const now = this.now();
    if (this.#used >= this.#pool.length || now - this.#filledAt > MAX_AGE_MS) {
      this.fill(this.#pool);
      this.#used = 0;
      this.#filledAt = now;
    }
    const nonce = new Uint8Array(NONCE_BYTES);
    for (let i = 0; i < NONCE_BYTES; i++) nonce[i] = this.#pool[this.#used++];
    return nonce;
  }
}

// A module's state is its thread's own: no two threads share a pool.
const pool = new NoncePool();

/** 12 fresh random bytes. */
export function nextNonce(): Uint8Array {
  return pool.next();
}
