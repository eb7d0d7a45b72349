import { setTimeout as delay } from "node:timers/promises";
import { StartupError } from "@memseal/errors";
import { allOrNone } from "./all-or-none.js";

class Part {
  isClosed = false;

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

describe("allOrNone", () => {
  it("gives everything in its order, whichever was ready first, and leaves it running", async () => {
    const [slow, fast] = [new Part(), new Part()];
    const all = await allOrNone<[Part, undefined, Part]>([delay(20, slow), Promise.resolve(undefined), Promise.resolve(fast)]);
    expect(all).toEqual([slow, undefined, fast]);
    expect([slow.isClosed, fast.isClosed]).toEqual([false, false]);
  });

  it("stops what started, also what starts after the failure, and throws the error", async () => {
    const [before, after] = [new Part(), new Part()];
    const failed = new StartupError("the model is gone");
    await expect(allOrNone([Promise.resolve(before), Promise.reject<Part>(failed), delay(20, after)])).rejects.toBe(failed);
    expect([before.isClosed, after.isClosed]).toEqual([true, true]);
  });
});
