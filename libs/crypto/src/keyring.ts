import type { TenantKey } from "./tenant-key.js";

/** One tenant's seal keys: the primary seals, all of them open. */
export class Keyring {
  readonly #keys: readonly TenantKey[];

  constructor(
    readonly primary: TenantKey,
    older: readonly TenantKey[] = [],
  ) {
    this.#keys = [primary, ...older];
  }

  /** The key with this id, of the few that a tenant has. */
  find(kid: Uint8Array): TenantKey | undefined {
    for (const key of this.#keys) if (isSame(key.kid, kid)) return key;
    return undefined;
  }

  /** Nothing opens or seals with it afterwards. */
  destroy(): void {
    for (const key of this.#keys) key.destroy();
  }
}

/** Ids are no secrets, so the first difference may end it. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}
