import fc from "fast-check";
import { MemsealError } from "./errors.js";
import { retryDelayMs, type RetryState } from "./retry.js";

const state = (parts: Partial<RetryState> = {}): RetryState => ({ retries: 0, maxRetries: 9, remainingMs: 60_000, random: 0.5, ...parts });
const refused = (retryAfterS?: number) => new MemsealError("unavailable", "", { status: 503, retryAfterS });

describe("the wait before a retry", () => {
  it("doubles up to a limit, at random below it", () => {
    const delays = Array.from({ length: 9 }, (_, retries) => retryDelayMs(refused(), state({ retries })));
    expect(delays).toEqual([50, 100, 200, 400, 800, 1_600, 2_500, 2_500, 2_500]);
    expect(retryDelayMs(refused(), state({ random: 0 }))).toBe(0);
  });

  it("is never shorter than the service asked for, nor as long as the caller's time", () => {
    fc.assert(fc.property(fc.nat(20), fc.nat(10), fc.integer({ min: 0, max: 30_000 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (retryAfterS, retries, remainingMs, random) => {
      const delay = retryDelayMs(refused(retryAfterS), state({ retries, remainingMs, random, maxRetries: 10 }));
      if (delay === undefined) expect(retries >= 10 || retryAfterS * 1000 + 5_000 >= remainingMs).toBe(true);
      else expect(delay >= retryAfterS * 1000 && delay < remainingMs).toBe(true);
    }));
  });
});
