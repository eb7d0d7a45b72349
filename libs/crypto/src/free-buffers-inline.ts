import { setFlagsFromString } from "node:v8";

/**
 * From now on this process frees the memory of dead buffers on the thread that made them, not on a background thread.
 * Each seal leaves a few small ones behind, and handing them over costs more than freeing them: with it a process
 * seals and opens a third more per CPU-second (seal.bench.ts runs with it). Call it once, at the start.
 */
export function freeBuffersInline(): void {
  setFlagsFromString("--no-concurrent-array-buffer-sweeping");
}
