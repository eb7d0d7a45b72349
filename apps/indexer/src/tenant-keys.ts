import { generateKey, Keyring, OpenError, SecretBytes, TenantKey, type UserHash } from "@memseal/crypto";
import { AppError } from "@memseal/errors";
import type { RootProvider } from "@memseal/keys";
import type { EmbeddingGeneration, MemoryStore, TenantDatabase, WrappedKey } from "@memseal/storage";
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
   * The keyring of a tenant that has written before.
   * @throws AppError data_loss when its keys are gone or wrapped by another root key; OpenError when one does not open
   */
  async get(tenant: UserHash): Promise<Keyring> {
    const cached = this.#cache.get(tenant);
    if (cached !== undefined) return cached;
    const wrapped = await this.database.withTenant(tenant, (tx) => this.store.readKeys(tx, "seal"));
    const keys = await Promise.all(wrapped.map((key) => this.#unwrap(tenant, key)));
    const primary = keys[wrapped.findIndex(({ status }) => status === "active")];
    if (primary === undefined) throw new AppError("data_loss", "this tenant's keys are missing: restore them from your backup");
    const keyring = new Keyring(primary, keys.filter((key) => key !== primary));
    this.#cache.set(tenant, keyring);
    return keyring;
  }

  async #unwrap(tenant: UserHash, { version, purpose, wrapped, commitment, rootKeyId }: WrappedKey): Promise<TenantKey> {
    if (rootKeyId !== this.root.rootKeyId) {
      throw new AppError("data_loss", `this tenant's key is wrapped by root key ${rootKeyId}, and this indexer holds ${this.root.rootKeyId}: give it the right file`);
    }
    const bytes = await this.root.unwrap(wrapped, { tenant, version, purpose });
    const secret = SecretBytes.of(bytes);
    bytes.fill(0);
    const key = new TenantKey(secret);
    secret.zero();
    if (!key.commitsTo(commitment)) throw new OpenError();
    return key;
  }

  /** Makes the tenant with its first key and embedding generation, unless another writer was faster. */
  async create(tenant: UserHash, embedding: EmbeddingGeneration): Promise<void> {
    const secret = generateKey();
    const key = new TenantKey(secret);
    const version = 1;
    const wrapped = await this.root.wrap(secret.reveal(), { tenant, version, purpose: "seal" });
    secret.zero();
    const { provider, rootKeyId } = this.root;
    await this.database.withTenant(tenant, (tx) => this.store.createTenant(
      tx,
      { purpose: "seal", version, kid: key.kid, commitment: key.commitment, provider, rootKeyId, wrapped, status: "active" },
      embedding,
    ));
  }
}
