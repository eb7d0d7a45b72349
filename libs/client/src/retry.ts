import type { MemsealError } from "./errors.js";

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 5_000;

export interface RetryState {
  /** How often it was sent again so far. */
  retries: number;
  maxRetries: number;
  /** Until the caller gives up. */
  remainingMs: number;
  /** 0 to 1, exclusive: spreads those who were refused together. */
  random: number;
}

/**
 * How long to wait before sending a request again, in milliseconds; undefined: not at all.
 * Exponential with full jitter, and never before the time the service named. A wait that the caller's time does not
 * allow is none.
 */
export function retryDelayMs(error: MemsealError, { retries, maxRetries, remainingMs, random }: RetryState): number | undefined {
  if (retries >= maxRetries || !isTransient(error)) return undefined;
  const backoffMs = random * Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** retries);
  const delayMs = (error.retryAfterS ?? 0) * 1000 + backoffMs;
  return delayMs < remainingMs ? delayMs : undefined;
}

function isTransient({ code, status }: MemsealError): boolean {
  switch (code) {
    case "resource_exhausted":
      // 413 is the same code: too large once is too large again.
      return status === 429;
    case "unavailable":
    case "aborted":
      return true;
    default:
      return false;
  }
}
