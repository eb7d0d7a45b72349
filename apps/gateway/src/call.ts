import type { UserHash } from "@memseal/crypto";

/** What a call tells every hop: which request it is, and when nobody waits any more. */
export interface Call {
  readonly requestId: string;
  /** Unix time in milliseconds. */
  readonly deadlineMs: number;
  /** Aborts at the deadline or when the caller leaves. */
  readonly signal: AbortSignal;
}

/** Who a credential stands for. */
export interface Caller {
  readonly tenant: UserHash;
  /** Who acts for the tenant, such as `api-key 3f9a`: for the audit trail. */
  readonly actor: string;
  readonly scopes: readonly string[];
}

/** A call by a known caller. */
export interface TenantCall extends Call {
  readonly caller: Caller;
  /** The caller's name for this request, under which a repetition is known. */
  readonly idempotencyKey?: string | undefined;
}
