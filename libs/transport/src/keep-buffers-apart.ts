/**
 * From now on each Buffer of this thread has memory of its own. Node cuts small ones from slabs of 8 KiB that it never wipes, and
 * any buffer that stays, such as a key's id, keeps its whole slab, with the texts and keys of requests that lay beside it. Call it
 * once, at the start.
 */
export function keepBuffersApart(): void {
  Buffer.poolSize = 0;
}
