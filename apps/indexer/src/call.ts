import type { UserHash } from "@memseal/crypto";
import type { CallEnd } from "@memseal/storage";

/** Whose call it is, who makes it, and how long its answer is of use. */
export interface TenantCall extends CallEnd {
  readonly tenant: UserHash;
  /** For the audit trail, such as `api-key 3f9a`. */
  readonly actor: string;
  /** The caller's name for this request, under which a repetition is known. */
  readonly idempotencyKey?: string | undefined;
}
