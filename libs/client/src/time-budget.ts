import { MemsealError } from "./errors.js";

/** The service refuses to be told more. */
const LONGEST_TIMEOUT_MS = 30_000;

/** For the way of the service's own answer that its time is up, which says more than ours. */
const GRACE_MS = 250;

/** The time one call has, for all its attempts, and the caller's wish to end it early. */
export class TimeBudget {
  /** Aborts when the caller does, with its reason, or when the time is up, with a MemsealError. */
  readonly signal: AbortSignal;
  readonly #endsAtMs: number;
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #unlisten: () => void;

  constructor(timeoutMs: number, caller: AbortSignal | undefined) {
    const controller = new AbortController();
    this.signal = controller.signal;
    this.#endsAtMs = Date.now() + timeoutMs;
    this.#timer = setTimeout(() => { controller.abort(timeIsUp(timeoutMs)); }, timeoutMs + GRACE_MS);
    const leave = () => { controller.abort(caller?.reason); };
    if (caller?.aborted) leave();
    caller?.addEventListener("abort", leave, { once: true });
    this.#unlisten = () => { caller?.removeEventListener("abort", leave); };
  }

  get remainingMs(): number {
    return Math.max(0, this.#endsAtMs - Date.now());
  }

  /** What the service is told in `Request-Timeout-Ms`: a whole number from 1. */
  get announcedMs(): number {
    return Math.min(LONGEST_TIMEOUT_MS, Math.max(1, Math.ceil(this.remainingMs)));
  }

  /** Waits, or rejects with the signal's reason. */
  sleep(ms: number): Promise<void> {
    return this.during(new Promise((resolve) => setTimeout(resolve, ms)));
  }

  /** The work's outcome, or the signal's reason if that comes first; the work itself goes on. */
  during<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      // What a caller aborts with is the caller's to choose.
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
      const stop = () => { reject(this.signal.reason); };
      if (this.signal.aborted) stop();
      this.signal.addEventListener("abort", stop, { once: true });
      void work.then(resolve, reject).finally(() => { this.signal.removeEventListener("abort", stop); });
    });
  }

  /** To be called when the call is over: lets go of timer and caller. */
  end(): void {
    clearTimeout(this.#timer);
    this.#unlisten();
  }
}

function timeIsUp(timeoutMs: number): MemsealError {
  return new MemsealError("deadline_exceeded", `there was no answer within ${timeoutMs} ms`);
}
