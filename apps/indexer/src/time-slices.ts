import { setImmediate as nextTick } from "node:timers/promises";

/** Cuts long work into slices of time, between which the event loop is free for others. */
export class TimeSlices {
  #end: number;

  constructor(private readonly sliceMs: number) {
    this.#end = performance.now() + sliceMs;
  }

  /** Between two steps of the work: waits, if the slice is over, until others had their turn. */
  async pause(): Promise<void> {
    if (performance.now() < this.#end) return;
    await nextTick();
    this.#end = performance.now() + this.sliceMs;
  }
}
