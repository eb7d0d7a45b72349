import CircuitBreaker from "opossum";

/** Why work behind a breaker gave no value. */
export const SKIP_REASONS = ["timeout", "open", "overloaded", "error"] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];

export const BREAKER_STATES = ["closed", "open", "half_open"] as const;
export type BreakerState = (typeof BREAKER_STATES)[number];

export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly skipped: SkipReason };

export interface BreakerOptions {
  name: string;
  /** After this long the work is cancelled and counts as failed. */
  timeoutMs: number;
  /** How long it stays open before one call may try again. */
  resetMs?: number;
}

export interface CallerLimits {
  /** Aborts when the caller leaves. */
  signal: AbortSignal;
  /** Unix time in milliseconds at which the caller stops waiting. */
  deadlineMs: number;
}

interface Attempt {
  readonly work: (signal: AbortSignal, deadlineMs: number) => Promise<unknown>;
  readonly controller: AbortController;
  readonly deadlineMs: number;
  /** True where the caller's own deadline comes before the breaker's timeout. */
  readonly callerIsShorter: boolean;
}

/** An error that tells nothing bad about the peer. */
class Excused {
  constructor(readonly error: unknown) {}
}

/**
 * Work that may be skipped. Opens when more than half of at least ten calls within 10 s fail; while open it answers
 * `open` at once, and after resetMs lets one call through to find out whether the peer is back.
 */
export class Breaker {
  readonly #timeoutMs: number;
  readonly #circuit: CircuitBreaker<[Attempt]>;

  constructor({ name, timeoutMs, resetMs = 1_000 }: BreakerOptions) {
    this.#timeoutMs = timeoutMs;
    this.#circuit = new CircuitBreaker<[Attempt]>(
      async (attempt) => {
        try {
          return await attempt.work(attempt.controller.signal, attempt.deadlineMs);
        } catch (error) {
          throw this.#isExcused(error, attempt) ? new Excused(error) : error;
        }
      },
      {
        name,
        timeout: timeoutMs,
        resetTimeout: resetMs,
        errorThresholdPercentage: 50,
        volumeThreshold: 10,
        rollingCountTimeout: 10_000,
        rollingPercentilesEnabled: false,
        enableSnapshots: false,
        errorFilter: (error: unknown) => error instanceof Excused,
      },
    );
  }

  get state(): BreakerState {
    if (this.#circuit.halfOpen) return "half_open";
    return this.#circuit.opened ? "open" : "closed";
  }

  /** Never rejects. `work` gets a signal that aborts at the timeout or when the caller leaves, and the same end as a time. */
  async run<T>(work: (signal: AbortSignal, deadlineMs: number) => Promise<T>, caller: CallerLimits): Promise<Outcome<T>> {
    // Opossum would count it among the calls of which half must fail: after a long outage the next one would be noticed late.
    if (this.#circuit.opened) return { ok: false, skipped: "open" };
    const timeoutAtMs = Date.now() + this.#timeoutMs;
    const controller = new AbortController();
    const cancel = () => { controller.abort(); };
    caller.signal.addEventListener("abort", cancel, { once: true });
    if (caller.signal.aborted) cancel();
    try {
      const value = await this.#circuit.fire({
        work,
        controller,
        deadlineMs: Math.min(timeoutAtMs, caller.deadlineMs),
        callerIsShorter: caller.deadlineMs < timeoutAtMs,
      });
      return { ok: true, value: value as T };
    } catch (error) {
      return { ok: false, skipped: reasonOf(error instanceof Excused ? error.error : error) };
    } finally {
      caller.signal.removeEventListener("abort", cancel);
      // After a timeout the work still runs: nobody waits for it any more.
      cancel();
    }
  }

  /**
   * The peer answered that it is busy or that this one request is wrong, or the caller did not wait long enough. A probe must tell something, so while
   * half-open only the peer's own answer counts; otherwise a caller that leaves would close the breaker.
   */
  #isExcused(error: unknown, { controller, callerIsShorter }: Attempt): boolean {
    const code = codeOf(error);
    if (code === "resource_exhausted" || code === "invalid_argument") return true;
    if (this.#circuit.halfOpen) return false;
    return controller.signal.aborted || (callerIsShorter && code === "deadline_exceeded");
  }
}

function reasonOf(error: unknown): SkipReason {
  switch (codeOf(error)) {
    case "EOPENBREAKER":
      return "open";
    // The first is opossum's timer, the second the peer's or the client library's.
    case "ETIMEDOUT":
    case "deadline_exceeded":
      return "timeout";
    case "resource_exhausted":
      return "overloaded";
    default:
      return "error";
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}
