import { generateKey, KeysChangedError, Keyring, ReferenceKey, TenantKey, type Purpose, type SecretBytes, type UserHash } from "@memseal/crypto";
import { AppError } from "@memseal/errors";
import { LRUCache } from "lru-cache";
import { unwrapTenantKey } from "./rewrap.js";
import type { RootKeys } from "./root-keys.js";
import type { TenantKeyRecord, TenantKeyRecords } from "./tenant-key-records.js";

/** A tenant's keys, unwrapped, of one epoch. */
export interface TenantKeySet {
  readonly epoch: number;
  readonly keyring: Keyring;
  /** The version of the keyring's primary. */
  readonly version: number;
  /** Makes blind references; made with the tenant, or at first need for one that is older. */
  readonly referenceKey: () => Promise<ReferenceKey>;
}

export interface TenantKeysOptions {
  /** How long keys serve after they were unwrapped, also when the root provider is away. */
  timeToLiveMs?: number;
  cachedTenants?: number;
  /** Seals that a process reserves at a time: a crash wastes at most that many. */
  sealBlock?: number;
  /** Seals under one key before the next version: half of what random nonces allow (NIST SP 800-38D, 8.3). */
  sealLimit?: number;
}

const MAX_ROTATIONS = 3;

/** Tenants' keys: unwrapped by the root provider, cached, counted and rotated. Never shared between tenants. */
export class TenantKeys {
  // Not destroyed when their time is up or their place is needed: a call may be using them. What drops out of reach is cleared by OpenSSL.
  readonly #cache: LRUCache<UserHash, TenantKeySet>;
  readonly #loading = new Map<UserHash, Promise<TenantKeySet>>();
  /** What is left of the block of seals that this process reserved last, per tenant. A new key always comes with a new epoch. */
  readonly #blocks: LRUCache<UserHash, { readonly epoch: number; left: number }>;
  readonly #reserving = new Map<UserHash, Promise<void>>();
  readonly #sealBlock: number;
  readonly #sealLimit: number;

  constructor(
    private readonly records: TenantKeyRecords,
    private readonly roots: RootKeys,
    { timeToLiveMs = 5 * 60_000, cachedTenants = 10_000, sealBlock = 65_536, sealLimit = 2 ** 31 }: TenantKeysOptions = {},
  ) {
    this.#cache = new LRUCache({ max: cachedTenants, ttl: timeToLiveMs });
    this.#blocks = new LRUCache({ max: cachedTenants });
    this.#sealBlock = sealBlock;
    this.#sealLimit = sealLimit;
  }

  /** The wrapped keys of a tenant that is about to be made. @throws UnavailableError while the root provider is away */
  wrapFirst(tenant: UserHash): Promise<TenantKeyRecord[]> {
    return Promise.all([this.#wrapNew(tenant, "seal", 1), this.#wrapNew(tenant, "reference", 1)]);
  }

  /**
   * The keys of a tenant that exists, at least as new as `epoch`, which was read with the rows that they are to open.
   * @throws KeysChangedError when an erasure has destroyed them; AppError data_loss when they are gone without that, or wrapped by
   *   another root key; OpenError when one does not open; UnavailableError while the root provider is away and they are not cached
   */
  async get(tenant: UserHash, epoch: number): Promise<TenantKeySet> {
    const cached = this.#cache.get(tenant);
    if (cached !== undefined) {
      if (cached.epoch >= epoch) return cached;
      // Somebody raised the epoch: nothing seals or opens with these from now on, whoever holds them.
      this.#cache.delete(tenant);
      cached.keyring.destroy();
    }
    const loaded = await this.#loadOnce(tenant);
    // Begun before the epoch was raised: once more.
    return loaded.epoch >= epoch ? loaded : this.#loadOnce(tenant);
  }

  /** Destroys what is held of a tenant's keys: of one that was erased, nothing stays. */
  forget(tenant: UserHash): void {
    const cached = this.#cache.get(tenant);
    this.#cache.delete(tenant);
    this.#blocks.delete(tenant);
    cached?.keyring.destroy();
  }

  /** As `get`, with `seals` seals under the primary reserved for the caller. They are counted, used or not. */
  async forSealing(tenant: UserHash, epoch: number, seals: number): Promise<TenantKeySet> {
    let atLeast = epoch;
    for (let rotations = 0; rotations < MAX_ROTATIONS;) {
      const keys = await this.get(tenant, atLeast);
      const block = this.#blocks.get(tenant);
      if (block?.epoch === keys.epoch && block.left >= seals) {
        block.left -= seals;
        return keys;
      }
      const isReserved = await this.#reserve(tenant, keys, seals);
      if (isReserved) continue;
      // Full, or rotated by another process: either way the tenant is of a later epoch afterwards.
      rotations++;
      await this.records.rotateSealKey(tenant, await this.#wrapNew(tenant, "seal", keys.version + 1));
      atLeast = keys.epoch + 1;
    }
    throw new AppError("aborted", "this user's keys change faster than this write; try again");
  }

  /** One reservation a tenant at a time: whoever comes while one runs looks again. */
  async #reserve(tenant: UserHash, { epoch, version }: TenantKeySet, seals: number): Promise<boolean> {
    const running = this.#reserving.get(tenant);
    if (running !== undefined) {
      await running;
      return true;
    }
    const block = Math.max(this.#sealBlock, seals);
    const reserved = this.records.reserveSeals(tenant, { version, seals: block, limit: this.#sealLimit });
    // Whoever waits looks again, whatever came of it: a failure is the caller's own, and there may be nobody else.
    this.#reserving.set(tenant, reserved.then(() => undefined, () => undefined));
    try {
      if (!(await reserved)) return false;
      this.#blocks.set(tenant, { epoch, left: block });
      return true;
    } finally {
      this.#reserving.delete(tenant);
    }
  }

  #loadOnce(tenant: UserHash): Promise<TenantKeySet> {
    const running = this.#loading.get(tenant);
    if (running !== undefined) return running;
    const loading = this.#load(tenant).finally(() => this.#loading.delete(tenant));
    this.#loading.set(tenant, loading);
    return loading;
  }

  async #load(tenant: UserHash): Promise<TenantKeySet> {
    const stored = await this.records.read(tenant);
    const seals = stored?.keys.filter(({ purpose }) => purpose === "seal") ?? [];
    const primaryRecord = seals.find(({ status }) => status === "active");
    // By the tenant's state, not its epoch: its rows outlive the keys until maintenance comes, and who reads one then reads the new epoch.
    if (stored?.isErased === true) throw new KeysChangedError();
    if (stored === undefined || primaryRecord === undefined) throw new AppError("data_loss", "this user's keys are missing: restore them from your backup");
    const unwrapSeal = (record: TenantKeyRecord) => this.#unwrap(tenant, record, (secret) => new TenantKey(secret));
    const primary = await unwrapSeal(primaryRecord);
    const older = await Promise.all(seals.filter((record) => record !== primaryRecord).map(unwrapSeal));
    const reference = stored.keys.find(({ purpose }) => purpose === "reference");
    let unwrapped: Promise<ReferenceKey> | undefined;
    const keys: TenantKeySet = {
      epoch: stored.epoch,
      keyring: new Keyring(primary, older),
      version: primaryRecord.version,
      referenceKey: () => {
        unwrapped ??= this.#referenceKey(tenant, reference);
        // What failed is tried again.
        unwrapped.catch(() => { unwrapped = undefined; });
        return unwrapped;
      },
    };
    this.#cache.set(tenant, keys);
    return keys;
  }

  async #referenceKey(tenant: UserHash, record: TenantKeyRecord | undefined): Promise<ReferenceKey> {
    let found = record;
    if (found === undefined) {
      await this.records.addReferenceKey(tenant, await this.#wrapNew(tenant, "reference", 1));
      // Where two processes made one at once, the first one counts.
      found = (await this.records.read(tenant))?.keys.find(({ purpose }) => purpose === "reference");
    }
    if (found === undefined) throw new AppError("data_loss", "this user's reference key is missing: restore it from your backup");
    return this.#unwrap(tenant, found, (secret) => new ReferenceKey(secret));
  }

  #unwrap<Key extends { commitsTo(commitment: Uint8Array): boolean }>(tenant: UserHash, record: TenantKeyRecord, toKey: (secret: SecretBytes) => Key): Promise<Key> {
    return unwrapTenantKey(this.roots, tenant, record, toKey, (key) => key);
  }

  async #wrapNew(tenant: UserHash, purpose: Purpose, version: number): Promise<TenantKeyRecord> {
    const secret = generateKey();
    try {
      const { commitment, kid } = purpose === "seal" ? new TenantKey(secret) : new ReferenceKey(secret);
      const root = this.roots.current();
      const wrapped = await root.wrap(secret.reveal(), { tenant, version, purpose });
      return { purpose, version, kid, commitment, provider: root.provider, rootKeyId: root.id, wrapped, status: "active" };
    } finally {
      secret.zero();
    }
  }
}
