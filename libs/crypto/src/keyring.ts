import type { TenantKey } from "./tenant-key.js";

/** One tenant's seal keys: the primary seals, all of them open. */
export class Keyring {
  readonly #byKid: ReadonlyMap<string, TenantKey>;

  constructor(
    readonly primary: TenantKey,
    older: readonly TenantKey[] = [],
  ) {
    this.#byKid = new Map([primary, ...older].map((key) => [key.kid.toString("hex"), key]));
  }

  find(kid: Buffer): TenantKey | undefined {
    return this.#byKid.get(kid.toString("hex"));
  }
}
