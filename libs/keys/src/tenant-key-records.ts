import type { Purpose, UserHash } from "@memseal/crypto";

/** One version of one tenant's key as it is stored: wrapped by the root key, useless without it. */
export interface TenantKeyRecord {
  purpose: Purpose;
  version: number;
  kid: Buffer;
  /** 32 bytes that no other key has: compared when the key is unwrapped. */
  commitment: Buffer;
  /** Kind of the root provider, and which of its keys, that wrapped it. */
  provider: string;
  rootKeyId: string;
  wrapped: Buffer;
  /** Others (pending, disabled, destroyed) are never read. */
  status: "active" | "decrypt_only";
}

/** Where tenants' wrapped keys are kept. */
export interface TenantKeyRecords {
  /** The keys that may still seal or open, the epoch they are of, and whether an erasure has taken them: all of one moment. Undefined where there is no tenant. */
  read(tenant: UserHash): Promise<{ epoch: number; isErased: boolean; keys: TenantKeyRecord[] } | undefined>;
  /** Counts `seals` more under a version before any is made. False where it is no longer active or has `limit` already. */
  reserveSeals(tenant: UserHash, request: { version: number; seals: number; limit: number }): Promise<boolean>;
  /** Makes `next` the active seal key, lets the one before only open, and raises the epoch, unless that was done by now. */
  rotateSealKey(tenant: UserHash, next: TenantKeyRecord): Promise<void>;
  /** Adds the reference key, unless the tenant has one. */
  addReferenceKey(tenant: UserHash, key: TenantKeyRecord): Promise<void>;
}
