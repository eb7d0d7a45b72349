import { Keyring, OpenError, SecretBytes, TenantKey, type UserHash } from "@memseal/crypto";
import type { RootProvider } from "@memseal/keys";
import type { EmbeddingGeneration, MemoryStore, TenantDatabase } from "@memseal/storage";
import { LRUCache } from "lru-cache";

const CACHED_TENANTS = 10_000;
/** How long a keyring serves after the root provider went away. */
const TIME_TO_LIVE_MS = 5 * 60_000;

/** Tenants' seal keys: unwrapped by the root key, cached. */
export class TenantKeys {
  readonly #cache = new LRUCache<UserHash, Keyring>({ max: CACHED_TENANTS, ttl: TIME_TO_LIVE_MS });

  constructor(
    private readonly database: TenantDatabase,
    private readonly store: MemoryStore,
    private readonly root: RootProvider,
  ) {}

  /**
   * The tenant's keyring, or undefined before its first write.
   * @throws OpenError when a wrapped key is not this tenant's or not under this root key
   */
  async find(tenant: UserHash): Promise<Keyring | undefined> {
    const cached = this.#cache.get(tenant);
    if (cached !== undefined) return cached;
    const wrapped = await this.database.withTenant(tenant, (tx) => this.store.readKeys(tx, "seal"));
    const keys = await Promise.all(wrapped.map(async ({ version, purpose, wrapped: bytes, commitment }) => {
      const key = TenantKey.of(SecretBytes.of(await this.root.unwrap(bytes, { tenant, version, purpose })));
      if (!key.commitment.equals(commitment)) throw new OpenError();
      return key;
    }));
    const primaryAt = wrapped.findIndex(({ status }) => status === "active");
    const primary = keys[primaryAt];
    if (primary === undefined) return undefined;
    const keyring = new Keyring(primary, keys.filter((key) => key !== primary));
    this.#cache.set(tenant, keyring);
    return keyring;
  }

  /** Makes the tenant with its first key and embedding generation, unless another writer was faster. */
  async create(tenant: UserHash, embedding: EmbeddingGeneration): Promise<void> {
    const key = TenantKey.generate();
    const version = 1;
    const wrapped = await this.root.wrap(key.revealForWrapping(), { tenant, version, purpose: "seal" });
    const { provider, rootKeyId } = this.root;
    await this.database.withTenant(tenant, (tx) => this.store.createTenant(
      tx,
      { purpose: "seal", version, kid: key.kid, commitment: key.commitment, provider, rootKeyId, wrapped, status: "active" },
      embedding,
    ));
  }
}
