import { OpenError, ReferenceKey, SecretBytes, TenantKey, type UserHash } from "@memseal/crypto";
import { AppError } from "@memseal/errors";
import type { RootKeys } from "./root-keys.js";
import type { RootProvider } from "./root-provider.js";
import type { TenantKeyRecord } from "./tenant-key-records.js";

/** What of a stored key tells how to unwrap it. */
export type WrappedKey = Pick<TenantKeyRecord, "purpose" | "version" | "commitment" | "provider" | "rootKeyId" | "wrapped">;

/**
 * Unwraps a stored key for `use`, and zeroes its bytes after.
 * @throws AppError data_loss when another root key wrapped it; OpenError when it does not open or is another key; UnavailableError
 *   while the root provider is away
 */
export async function unwrapTenantKey<Key extends { commitsTo(commitment: Uint8Array): boolean }, T>(
  roots: RootKeys, tenant: UserHash, record: WrappedKey, toKey: (secret: SecretBytes) => Key, use: (key: Key, secret: SecretBytes) => T | Promise<T>,
): Promise<T> {
  const { version, purpose, wrapped, commitment, provider, rootKeyId } = record;
  const root = roots.find(provider, rootKeyId);
  if (root === undefined) {
    const held = roots.current();
    throw new AppError("data_loss", `this user's key is wrapped by root key ${rootKeyId} of provider ${provider}, and this indexer holds ${held.id} of ${held.provider}: give it the right one`);
  }
  const bytes = await root.unwrap(wrapped, { tenant, version, purpose });
  const secret = SecretBytes.of(bytes);
  bytes.fill(0);
  try {
    const key = toKey(secret);
    if (!key.commitsTo(commitment)) throw new OpenError();
    return await use(key, secret);
  } finally {
    secret.zero();
  }
}

/** The same key, wrapped by `root`. @throws as `unwrapTenantKey` */
export function rewrapTenantKey(roots: RootKeys, root: RootProvider, tenant: UserHash, record: WrappedKey): Promise<Buffer> {
  const { version, purpose } = record;
  const toKey = (secret: SecretBytes) => (purpose === "seal" ? new TenantKey(secret) : new ReferenceKey(secret));
  return unwrapTenantKey(roots, tenant, record, toKey, (_key, secret) => root.wrap(secret.reveal(), { tenant, version, purpose }));
}
