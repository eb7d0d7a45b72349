import { parseTimeout, runUntil } from "@memseal/resilience";
import type { Scope } from "@memseal/auth";
import { parseIdempotencyKey } from "@memseal/transport";
import { requireScope, type Authenticator } from "./authenticate.js";
import type { TenantCall } from "./call.js";

/** A request as a transport received it. */
export interface Received {
  requestId: string;
  authorization: string | undefined;
  /** The caller's `Request-Timeout-Ms`. */
  timeout: string | undefined;
  /** The caller's `Idempotency-Key`. */
  idempotencyKey: string | undefined;
  /** Unix time in milliseconds of the transport's own deadline; Infinity without one. */
  deadlineMs: number;
  /** Aborts when the caller leaves. */
  signal: AbortSignal;
}

/** What stands before every call: a deadline, a known caller, a scope. */
export class Admission {
  constructor(private readonly authenticator: Authenticator) {}

  /** @throws AppError from the checks, in that order, or what the work throws */
  async admit<T>(received: Received, scope: Scope, work: (call: TenantCall) => Promise<T>): Promise<T> {
    const { requestId, authorization, timeout } = received;
    const deadlineMs = Math.min(Date.now() + parseTimeout(timeout), received.deadlineMs);
    return runUntil(deadlineMs, received.signal, async (signal) => {
      const call = { requestId, deadlineMs, signal };
      const caller = await this.authenticator.authenticate(call, authorization);
      requireScope(caller, scope);
      return work({ ...call, caller, idempotencyKey: parseIdempotencyKey(received.idempotencyKey) });
    });
  }
}
