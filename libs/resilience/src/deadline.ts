import { AppError, DeadlineExceededError, InvalidArgumentError } from "@memseal/errors";

/** Header and metadata key in which a caller says how long it waits. */
export const TIMEOUT_KEY = "request-timeout-ms";

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 30_000;

/**
 * Milliseconds a caller waits: what it asks for in `Request-Timeout-Ms`, else 10 s.
 * @throws InvalidArgumentError unless a whole number from 1 to 30,000
 */
export function parseTimeout(asked: string | undefined): number {
  if (asked === undefined) return DEFAULT_TIMEOUT_MS;
  const timeoutMs = /^\d{1,5}$/.test(asked) ? Number(asked) : 0;
  if (timeoutMs < 1 || timeoutMs > MAX_TIMEOUT_MS) {
    throw new InvalidArgumentError(TIMEOUT_KEY, `must be a whole number of milliseconds from 1 to ${MAX_TIMEOUT_MS}`);
  }
  return timeoutMs;
}

/**
 * Runs work until the deadline (Unix time in milliseconds) or until the caller leaves, whichever is first. Then the
 * work's signal aborts and the answer is an error at once, whether or not the work listens.
 * @throws DeadlineExceededError, AppError `cancelled`, or what the work throws
 */
export async function runUntil<T>(deadlineMs: number, caller: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  if (caller.aborted) throw callerLeft();
  const controller = new AbortController();
  const stopped = new Promise<never>((_, reject) => {
    controller.signal.addEventListener("abort", () => { reject(controller.signal.reason as AppError); }, { once: true });
  });
  const leave = () => { controller.abort(callerLeft()); };
  const timer = setTimeout(() => { controller.abort(new DeadlineExceededError()); }, Math.max(0, deadlineMs - Date.now()));
  caller.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([stopped, work(controller.signal)]);
  } finally {
    clearTimeout(timer);
    caller.removeEventListener("abort", leave);
  }
}

function callerLeft(): AppError {
  return new AppError("cancelled", "the caller left before the answer was ready");
}
