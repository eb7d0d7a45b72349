import { parseTimeout, runUntil } from "@memseal/resilience";
import type { Scope } from "@memseal/auth";
import { LIMITS } from "@memseal/contracts";
import { toAppError } from "@memseal/errors";
import { parseIdempotencyKey } from "@memseal/transport";
import { requireDelegate, requireScope, requireUser, type Authenticator } from "./authenticate.js";
import type { Call, Credential, DelegateCall, TenantCall } from "./call.js";
import { requireAllowed, type Quota, type RateClass, type Rates } from "./rates.js";
import type { UntakenAnswers } from "./untaken-answers.js";

/** How long a streamed answer may be made: the longest deadline. */
export const LONGEST_STREAM_MS = 30_000;

/** A request as a transport received it. */
export interface Received {
  requestId: string;
  /** Every value that was sent; one is right. */
  authorization: readonly string[];
  /** Where it came from, without a port. */
  address: string;
  /** The caller's `Request-Timeout-Ms`. */
  timeout: string | undefined;
  /** The caller's `Idempotency-Key`. */
  idempotencyKey: string | undefined;
  /** Unix time in milliseconds of the transport's own deadline; Infinity without one. */
  deadlineMs: number;
  /** Aborts when the caller leaves. */
  signal: AbortSignal;
  /** Calls back when the answer has left this process, or cannot any more. */
  whenTaken: (taken: () => void) => void;
  /** Told where the caller's rate stands, or that its address has failed too often. */
  onQuota?: (quota: Quota) => void;
}

/**
 * Counts bytes of a call's answer as waiting for its receiver, until what it returns is called or there is no call any more.
 * @throws OverloadedError where they are too many, of an answer that nothing is lost with
 */
export type Hold = (bytes: number) => () => void;

/** What a call needs: a scope, and room in a rate. */
export type Access = Exclude<Scope, "delegate"> | "rerank";

const ACCESS: Readonly<Record<Access, { scope: Scope; rate: RateClass }>> = {
  read: { scope: "read", rate: "read" },
  write: { scope: "write", rate: "write" },
  admin: { scope: "admin", rate: "write" },
  rerank: { scope: "read", rate: "rerank" },
};

/** What stands before every call: a deadline, a known credential, its rate, what it has taken of the answers before, what it may do. Nothing else in a request says whose it is. */
export class Admission {
  constructor(
    private readonly authenticator: Pick<Authenticator, "authenticate">,
    private readonly rates: Rates,
    private readonly untaken: UntakenAnswers,
  ) {}

  /** A call for a user. @throws AppError from the checks, in that order, or what the work throws */
  async admit<T>(received: Received, access: Access, work: (call: TenantCall, hold: Hold) => Promise<T>): Promise<T> {
    const { scope, rate } = ACCESS[access];
    return this.#admit(received, rate, async (call, credential, hold) => {
      const caller = requireUser(credential);
      requireScope(caller, scope);
      return work({ ...call, caller, idempotencyKey: parseIdempotencyKey(received.idempotencyKey) }, hold);
    });
  }

  /** A call of a delegate key, for tokens. @throws as `admit` */
  async exchange<T>(received: Received, work: (call: DelegateCall, hold: Hold) => Promise<T>): Promise<T> {
    return this.#admit(received, "write", async (call, credential, hold) => work({ ...call, delegate: requireDelegate(credential) }, hold));
  }

  async #admit<T>(received: Received, kind: RateClass, work: (call: Call, credential: Credential, hold: Hold) => Promise<T>): Promise<T> {
    const { requestId, timeout } = received;
    const deadlineMs = Math.min(Date.now() + parseTimeout(timeout), received.deadlineMs);
    return runUntil(deadlineMs, received.signal, async (signal) => {
      const call = { requestId, deadlineMs, signal };
      const credential = await this.#authenticate(call, received);
      const quota = this.rates.take(kind, credential);
      received.onQuota?.(quota);
      requireAllowed(quota);
      const receiver = credential.tenant ?? credential.actor;
      // Where there is no room for a page of a list, no answer is made in vain.
      this.untaken.requireRoom(receiver, LIMITS.listPageBytes);
      return work(call, credential, (bytes) => {
        // What was written is written, and says little.
        if (kind !== "write") this.untaken.requireRoom(receiver, bytes);
        const taken = this.untaken.hold(receiver, bytes);
        received.whenTaken(taken);
        return taken;
      });
    });
  }

  /** Who fails too often is not looked up any more. Keys that are known, and signatures, are always looked at: others may share the address. */
  async #authenticate(call: Call, { authorization, address, onQuota }: Received): Promise<Credential> {
    const require = (quota: Quota): void => {
      // Of a caller that is let in, its own rate is said.
      if (!quota.isAllowed) onQuota?.(quota);
      requireAllowed(quota);
    };
    try {
      return await this.authenticator.authenticate(call, authorization, { address, beforeAsking: () => { require(this.rates.trust(address)); } });
    } catch (error) {
      if (toAppError(error).code === "unauthenticated") require(this.rates.fail(address));
      throw error;
    }
  }
}
