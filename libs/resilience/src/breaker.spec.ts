import { AppError, DeadlineExceededError, InvalidArgumentError, OverloadedError, UnavailableError } from "@memseal/errors";
import { Breaker, type CallerLimits, type Outcome } from "./breaker.js";

const RESET_MS = 60;
const breaker = () => new Breaker({ name: "test", timeoutMs: 30, resetMs: RESET_MS });
const patient = (): CallerLimits => ({ signal: new AbortController().signal, deadlineMs: Infinity });
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** Work that ends only when it is cancelled, as a gRPC call does. */
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => { signal.addEventListener("abort", () => { reject(new AppError("cancelled", "cancelled")); }); });

async function repeat<T>(times: number, one: () => Promise<Outcome<T>>): Promise<Outcome<T>[]> {
  const outcomes = [];
  for (let i = 0; i < times; i++) outcomes.push(await one());
  return outcomes;
}

describe("Breaker", () => {
  it("gives the value of work that ends in time", async () => {
    await expect(breaker().run(() => Promise.resolve(7), patient())).resolves.toEqual({ ok: true, value: 7 });
  });

  it("cancels work at the timeout and says so", async () => {
    let seen: AbortSignal | undefined;
    const outcome = await breaker().run((signal) => {
      seen = signal;
      return untilAborted(signal);
    }, patient());
    expect(outcome).toEqual({ ok: false, skipped: "timeout" });
    expect(seen?.aborted).toBe(true);
  });

  it.each([
    ["overloaded", new OverloadedError("queue full")],
    ["timeout", new DeadlineExceededError()],
    ["error", new UnavailableError("gone")],
    ["error", new Error("anything else")],
    ["error", undefined],
  ])("reports %s for %p", async (skipped, thrown) => {
    // A breaker must cope with whatever the work throws.
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    await expect(breaker().run(() => Promise.reject(thrown), patient())).resolves.toEqual({ ok: false, skipped });
  });

  it("opens after ten failures and then answers at once without calling", async () => {
    const one = breaker();
    const failures = await repeat(10, () => one.run(() => Promise.reject(new UnavailableError("gone")), patient()));
    expect(failures).toEqual(Array(10).fill({ ok: false, skipped: "error" }));
    let called = false;
    const outcome = await one.run(() => {
      called = true;
      return Promise.resolve(1);
    }, patient());
    expect(outcome).toEqual({ ok: false, skipped: "open" });
    expect(called).toBe(false);
  });

  it("notices the next outage as soon as the first, however many calls it turned away in between", async () => {
    const one = breaker();
    const fail = () => one.run(() => Promise.reject(new UnavailableError("gone")), patient());
    await repeat(10, fail);
    await repeat(100, fail);
    await sleep(RESET_MS + 20);
    await one.run(() => Promise.resolve(1), patient());
    expect(one.state).toBe("closed");
    await repeat(5, fail);
    expect(one.state).toBe("open");
  });

  it("says which state it is in", async () => {
    const one = breaker();
    expect(one.state).toBe("closed");
    await repeat(10, () => one.run(() => Promise.reject(new UnavailableError("gone")), patient()));
    expect(one.state).toBe("open");
    await sleep(RESET_MS + 20);
    expect(one.state).toBe("half_open");
    await one.run(() => Promise.resolve(1), patient());
    expect(one.state).toBe("closed");
  });

  it("lets one call through at a time while it is half open", async () => {
    const one = breaker();
    await repeat(10, () => one.run(() => Promise.reject(new UnavailableError("gone")), patient()));
    await sleep(RESET_MS + 20);
    let calls = 0;
    const slow = () => {
      calls++;
      return sleep(10);
    };
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => one.run(slow, patient())));
    expect(calls).toBe(1);
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
  });

  it("stays closed for fewer than ten calls, however they end", async () => {
    const one = breaker();
    await repeat(9, () => one.run(() => Promise.reject(new UnavailableError("gone")), patient()));
    await expect(one.run(() => Promise.resolve(1), patient())).resolves.toEqual({ ok: true, value: 1 });
  });

  it("recovers by itself: one probe after the reset time closes it", async () => {
    const one = breaker();
    await repeat(10, () => one.run(() => Promise.reject(new UnavailableError("gone")), patient()));
    await sleep(RESET_MS + 20);
    await expect(one.run(() => Promise.resolve(1), patient())).resolves.toEqual({ ok: true, value: 1 });
    await expect(one.run(() => Promise.resolve(2), patient())).resolves.toEqual({ ok: true, value: 2 });
  });

  it("opens again when the probe fails", async () => {
    const one = breaker();
    await repeat(10, () => one.run(() => Promise.reject(new UnavailableError("gone")), patient()));
    await sleep(RESET_MS + 20);
    await expect(one.run(() => Promise.reject(new UnavailableError("gone")), patient())).resolves.toEqual({ ok: false, skipped: "error" });
    await expect(one.run(() => Promise.resolve(1), patient())).resolves.toEqual({ ok: false, skipped: "open" });
  });

  it("is not opened by callers that leave", async () => {
    const one = breaker();
    await repeat(20, () => {
      const caller = new AbortController();
      const outcome = one.run(untilAborted, { signal: caller.signal, deadlineMs: Infinity });
      caller.abort();
      return outcome;
    });
    await expect(one.run(() => Promise.resolve(1), patient())).resolves.toEqual({ ok: true, value: 1 });
  });

  it("is not opened by callers whose deadline is shorter than its own timeout", async () => {
    const one = breaker();
    const hurried = await repeat(20, () =>
      one.run(() => Promise.reject(new DeadlineExceededError()), { ...patient(), deadlineMs: Date.now() + 5 }));
    expect(hurried).toEqual(Array(20).fill({ ok: false, skipped: "timeout" }));
    await expect(one.run(() => Promise.resolve(1), patient())).resolves.toEqual({ ok: true, value: 1 });
  });

  it("is not closed by a probe whose caller leaves", async () => {
    const one = breaker();
    await repeat(10, () => one.run(() => Promise.reject(new UnavailableError("gone")), patient()));
    await sleep(RESET_MS + 20);
    const caller = new AbortController();
    const probe = one.run(untilAborted, { signal: caller.signal, deadlineMs: Infinity });
    caller.abort();
    await probe;
    await expect(one.run(() => Promise.resolve(1), patient())).resolves.toEqual({ ok: false, skipped: "open" });
  });

  it("is not opened by a peer that answers it is busy", async () => {
    const one = breaker();
    await repeat(20, () => one.run(() => Promise.reject(new OverloadedError("queue full")), patient()));
    await expect(one.run(() => Promise.resolve(1), patient())).resolves.toEqual({ ok: true, value: 1 });
  });

  it("is not opened by requests that the peer calls wrong: one caller's must not count for all", async () => {
    const one = breaker();
    const refused = await repeat(20, () => one.run(() => Promise.reject(new InvalidArgumentError("passages[0]", "is too long")), patient()));
    expect(refused).toEqual(Array(20).fill({ ok: false, skipped: "error" }));
    await expect(one.run(() => Promise.resolve(1), patient())).resolves.toEqual({ ok: true, value: 1 });
  });

  it("tells the work the earlier of its own and the caller's end", async () => {
    const deadlineMs = Date.now() + 5;
    await expect(breaker().run((_, end) => Promise.resolve(end), { ...patient(), deadlineMs })).resolves.toEqual({ ok: true, value: deadlineMs });
  });
});
