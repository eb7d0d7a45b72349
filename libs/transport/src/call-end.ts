import type { Client } from "@grpc/grpc-js";
import { AppError, DeadlineExceededError } from "@memseal/errors";
import { TokenBuckets } from "@memseal/resilience";

/**
 * How often calls under way may be taken back on one channel, each by a reset of its stream. A server of Node takes a peer that resets
 * more than 1,000 at once, or 33 a second, for an attacker and ends the connection, with everybody's calls on it: no caller may bring
 * that about by leaving. Source: nghttp2_option_set_stream_reset_rate_limit, whose defaults Node 20 cannot change.
 */
const RESETS = { perSecond: 20, burst: 500 };

/** A call that the peer has not ended itself so long after its deadline hangs, or was never sent. */
const LATE_MS = 1_000;
/** So shortly before its deadline a call is left to it. */
const NEARLY_MS = 50;

const resetsOf = new WeakMap<Client, TokenBuckets>();

export interface CallLimits {
  /** Unix time in milliseconds; the peer is told it and ends the call then, too. */
  deadlineMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * Ends a call for its caller at the deadline or when the caller leaves; onEnd is told which. The peer stops working on it then, or at
 * the deadline where too many calls of the channel were taken back already. Returns what is to be called when the call itself ends.
 */
export function endInTime(client: Client, call: { cancel(): void }, { deadlineMs, signal }: CallLimits, onEnd: (error: AppError) => void): () => void {
  const leftMs = () => deadlineMs - Date.now();
  const leave = () => {
    onEnd(new AppError("cancelled", "cancelled"));
    if (leftMs() > NEARLY_MS && mayReset(client)) call.cancel();
  };
  const timer = setTimeout(() => { onEnd(new DeadlineExceededError()); }, leftMs());
  const late = setTimeout(() => { call.cancel(); }, leftMs() + LATE_MS);
  signal?.addEventListener("abort", leave, { once: true });
  return () => {
    clearTimeout(timer);
    clearTimeout(late);
    signal?.removeEventListener("abort", leave);
  };
}

/** Counts one. */
export function mayReset(client: Client): boolean {
  let resets = resetsOf.get(client);
  if (resets === undefined) resetsOf.set(client, (resets = new TokenBuckets(RESETS, { max: 1 })));
  return resets.take("", performance.now()).isAllowed;
}
