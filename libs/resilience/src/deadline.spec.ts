import { InvalidArgumentError } from "@memseal/errors";
import { parseTimeout, runUntil } from "./deadline.js";

const never = () => new Promise<never>(() => undefined);
const stays = new AbortController().signal;

describe("parseTimeout", () => {
  it("waits 10 s for a caller that does not say", () => {
    expect(parseTimeout(undefined)).toBe(10_000);
  });

  it.each([["1", 1], ["250", 250], ["30000", 30_000]])("takes %s ms as asked", (asked, timeoutMs) => {
    expect(parseTimeout(asked)).toBe(timeoutMs);
  });

  it.each(["0", "30001", "-1", "1.5", "1e3", "", " 5", "soon", "5,5"])("refuses %j rather than guess", (asked) => {
    expect(() => parseTimeout(asked)).toThrow(InvalidArgumentError);
  });
});

describe("runUntil", () => {
  it("hands on what the work gives", async () => {
    await expect(runUntil(Date.now() + 1_000, stays, () => Promise.resolve(7))).resolves.toBe(7);
    await expect(runUntil(Date.now() + 1_000, stays, () => Promise.reject(new Error("own")))).rejects.toThrow("own");
  });

  it("ends at the deadline even when the work does not listen", async () => {
    await expect(runUntil(Date.now() + 20, stays, never)).rejects.toMatchObject({ code: "deadline_exceeded" });
  });

  it("aborts the work's signal when the caller leaves", async () => {
    const caller = new AbortController();
    let seen: AbortSignal | undefined;
    const answer = runUntil(Date.now() + 1_000, caller.signal, (signal) => {
      seen = signal;
      return never();
    });
    caller.abort();
    await expect(answer).rejects.toMatchObject({ code: "cancelled" });
    expect(seen?.aborted).toBe(true);
  });

  it("starts nothing for a caller that has already left", async () => {
    let started = false;
    const answer = runUntil(Date.now() + 1_000, AbortSignal.abort(), () => {
      started = true;
      return never();
    });
    await expect(answer).rejects.toMatchObject({ code: "cancelled" });
    expect(started).toBe(false);
  });
});
