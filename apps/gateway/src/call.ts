import type { UserHash } from "@memseal/crypto";

/** What a call tells every hop: which request it is, and when nobody waits any more. */
export interface Call {
  readonly requestId: string;
  /** Unix time in milliseconds. */
  readonly deadlineMs: number;
  /** Aborts at the deadline or when the caller leaves. */
  readonly signal: AbortSignal;
}

/** A credential that stands for one user. */
export interface Caller {
  readonly tenant: UserHash;
  /** Which user ids it knows: `42` of another namespace is somebody else. */
  readonly namespace: string;
  /** Who acts for the tenant, such as `api-key 3f9a`: for the audit trail. */
  readonly actor: string;
  readonly scopes: readonly string[];
}

/** A credential that stands for no user: it is exchanged for tokens of users of its namespace. */
export interface Delegate {
  readonly tenant: undefined;
  readonly namespace: string;
  readonly actor: string;
  readonly scopes: readonly string[];
  /** Public id of the API key. */
  readonly keyId: string;
}

export type Credential = Caller | Delegate;

/** A call by a delegate. */
export interface DelegateCall extends Call {
  readonly delegate: Delegate;
}

/** A call by a known caller. */
export interface TenantCall extends Call {
  readonly caller: Caller;
  /** The caller's name for this request, under which a repetition is known. */
  readonly idempotencyKey?: string | undefined;
}
