import { OpenError, type UserHash } from "@memseal/crypto";
import { AppError, OverQuotaError } from "@memseal/errors";
import type { TenantKeys } from "@memseal/keys";
import { TenantIndex } from "@memseal/retrieval";
import type { CallEnd, ChangePage, MemoryStore, SealedChunk, TenantDatabase, TenantState, TenantStore } from "@memseal/storage";
import { LRUCache } from "lru-cache";
import pLimit from "p-limit";
import { indexedMemory } from "./indexed-memory.js";
import type { IntegrityFailures } from "./integrity-failures.js";
import { openChunks, openMemory, type TenantSeal } from "./sealed-memory.js";
import { TimeSlices } from "./time-slices.js";

/** The event loop is free again after this long: another tenant's search has some eight steps, and waits for a slice at each. */
const SLICE_MS = 1;
/** Tenants that are loaded at once: more would only take each other's time and memory. */
const LOADS_AT_ONCE = 2;
/** A page of changes: so many chunks, as far as the memories before tell. */
const PAGE_CHUNKS = 1_024;
const PAGE_MEMORIES = 256;

/** A tenant's index in memory and how far it has come. */
export interface LoadedTenant {
  readonly index: TenantIndex;
  /** Versions of memories left out because a row of theirs does not open, by memory. */
  readonly damaged: Map<string, number>;
  readonly epoch: number;
  readonly generation: number;
  /** That made its vectors; empty while every one came from callers. */
  model: string;
  /** Every write up to this seq is in the index. */
  appliedSeq: number;
  /** Evicted: its vectors and postings are zero. */
  cleared: boolean;
}

export interface TenantCacheOptions {
  /** Of all indexes together. */
  maxBytes: number;
  /** Of one tenant: beyond, a search is refused. */
  maxTenantChunks: number;
  /** Told of each index brought up to date: by what is newer, or whole. */
  onRefresh?: (how: "catch_up" | "load") => void;
}

/** Read between two pages, the tenant was not what the first one was of: begin again. */
class Overtaken extends Error {}

/**
 * Tenant indexes, built from sealed rows on first use and brought up to date before each use. Bounded in bytes;
 * an evicted index is zeroed.
 */
export class TenantCache {
  // Held in a wrapper, new at each change: the cache measures an entry when it is set, and only where it differs.
  readonly #cached: LRUCache<UserHash, { readonly loaded: LoadedTenant }>;
  readonly #refreshing = new Map<UserHash, Promise<LoadedTenant>>();
  readonly #limitLoads = pLimit(LOADS_AT_ONCE);

  constructor(
    private readonly database: TenantDatabase,
    private readonly stores: { tenants: TenantStore; memories: MemoryStore },
    private readonly keys: TenantKeys,
    private readonly damage: IntegrityFailures,
    private readonly options: TenantCacheOptions,
  ) {
    this.#cached = new LRUCache({
      maxSize: options.maxBytes,
      sizeCalculation: ({ loaded }) => loaded.index.bytes,
      // "set": the same index, measured again.
      dispose: ({ loaded }, _tenant, reason) => { if (reason !== "set") clear(loaded); },
    });
  }

  /** Of all indexes in memory together. */
  get bytes(): number {
    return this.#cached.calculatedSize;
  }

  /**
   * Runs `use` on an index that has everything acknowledged before this call, or returns undefined where the
   * tenant has nothing. `use` is synchronous: nothing can evict the index under it. now: ms since 1970 by the database's clock.
   * end: of the call, with which it waits for a connection no longer; what brings the index up to date is for others, too.
   * @throws OverQuotaError where the tenant has too many chunks
   */
  async use<T>(tenant: UserHash, use: (loaded: LoadedTenant, now: number) => T, end?: CallEnd): Promise<T | undefined> {
    const database = this.database.until(end);
    for (;;) {
      const state = await this.stores.tenants.readState(database, tenant);
      if (state?.status !== "active") {
        this.drop(tenant);
        return undefined;
      }
      const loaded = await this.#refresh(tenant, state);
      // Evicted between its refresh and now: an empty answer would be wrong.
      if (loaded.cleared) continue;
      try {
        return use(loaded, state.now.getTime());
      } finally {
        // An index larger than the whole cache serves once and is not kept.
        if (this.#cached.peek(tenant)?.loaded !== loaded) clear(loaded);
      }
    }
  }

  /** Forgets a tenant and its keys: after an erasure nothing of it stays in memory. */
  drop(tenant: UserHash): void {
    this.#cached.delete(tenant);
    this.keys.forget(tenant);
  }

  /** One refresh a tenant at a time; whoever comes while one runs shares its end and looks again. */
  async #refresh(tenant: UserHash, state: TenantState): Promise<LoadedTenant> {
    for (;;) {
      const loaded = this.#cached.get(tenant)?.loaded;
      if (loaded !== undefined && isCurrent(loaded, state)) return loaded;
      const running = this.#refreshing.get(tenant);
      if (running === undefined) {
        const refresh = this.#bringUp(tenant, state, loaded).finally(() => this.#refreshing.delete(tenant));
        this.#refreshing.set(tenant, refresh);
        return refresh;
      }
      const other = await running;
      if (!other.cleared && isCurrent(other, state)) return other;
    }
  }

  async #bringUp(tenant: UserHash, state: TenantState, loaded: LoadedTenant | undefined): Promise<LoadedTenant> {
    // Behind the floor, deletions have left no trace: only a fresh load knows what is gone.
    const isUsable = loaded !== undefined && loaded.epoch >= state.epoch && loaded.generation === state.generation && loaded.appliedSeq >= state.tombstoneFloor;
    if (loaded !== undefined && isUsable) {
      try {
        const current = await this.#catchUp(tenant, loaded, loaded.appliedSeq);
        this.options.onRefresh?.("catch_up");
        return current;
      } catch (error) {
        if (!(error instanceof Overtaken)) throw error;
      }
    }
    this.#cached.delete(tenant);
    this.options.onRefresh?.("load");
    return this.#limitLoads(() => this.#load(tenant));
  }

  async #load(tenant: UserHash): Promise<LoadedTenant> {
    for (;;) {
      const state = await this.stores.tenants.readState(this.database, tenant);
      const embedding = await this.stores.tenants.readActiveGeneration(this.database, tenant);
      if (state === undefined || embedding === undefined) throw new AppError("data_loss", "this tenant's embedding generation is missing: restore it from your backup");
      const { epoch, generation } = state;
      const target: LoadedTenant = { index: new TenantIndex({ dimension: embedding.dimension }), damaged: new Map(), epoch, generation, model: embedding.model, appliedSeq: 0, cleared: false };
      try {
        return await this.#catchUp(tenant, target, state.seq);
      } catch (error) {
        clear(target);
        if (!(error instanceof Overtaken)) throw error;
      }
    }
  }

  /** Applies what is newer than the index, page by page. deletedSince: nothing deleted before that is in the index. */
  async #catchUp(tenant: UserHash, target: LoadedTenant, deletedSince: number): Promise<LoadedTenant> {
    const read = (afterSeq: number, limit: number): Promise<ChangePage> => {
      const { generation } = target;
      return this.database.withTenant(tenant, (tx) => this.stores.memories.readChanges(tx, { afterSeq, generation, deletedSince, limit }), { snapshot: true });
    };
    for (let reading = read(target.appliedSeq, PAGE_MEMORIES); ; ) {
      const page = await reading;
      if (page.epoch !== target.epoch || page.generation !== target.generation || page.tombstoneFloor > deletedSince) throw new Overtaken();
      const last = page.memories.at(-1);
      const isLast = page.deletedIds !== undefined;
      if (!isLast && last !== undefined) {
        // The next page is read while this one is applied.
        const chunksPerMemory = page.chunks.length / page.memories.length || 1;
        reading = read(last.seq, Math.max(1, Math.min(PAGE_MEMORIES, Math.floor(PAGE_CHUNKS / chunksPerMemory))));
        // Awaited in its turn, unless this page fails first.
        reading.catch(() => undefined);
      }
      const { keyring } = await this.keys.get(tenant, page.epoch);
      const damaged = await apply(page, target, { tenant, keyring });
      this.damage.report(tenant, page.epoch, damaged);
      this.#assertSize(target);
      if (isLast) return this.#keep(tenant, target, page);
    }
  }

  #keep(tenant: UserHash, target: LoadedTenant, { seq, model }: ChangePage): LoadedTenant {
    target.appliedSeq = seq;
    target.model = model;
    // Evicted while it was filled: zero what came in since, and leave it out.
    if (target.cleared) clear(target);
    else this.#cached.set(tenant, { loaded: target });
    return target;
  }

  #assertSize({ index }: LoadedTenant): void {
    const { maxTenantChunks } = this.options;
    if (index.chunkCount <= maxTenantChunks) return;
    throw new OverQuotaError(`this user's memories make more than ${maxTenantChunks} searchable spans: delete some, or raise MEMSEAL_MAX_TENANT_CHUNKS`);
  }
}

function isCurrent(loaded: LoadedTenant, state: TenantState): boolean {
  return loaded.epoch >= state.epoch && loaded.generation === state.generation && loaded.appliedSeq >= state.seq;
}

function clear(loaded: LoadedTenant): void {
  loaded.cleared = true;
  loaded.index.clear();
}

/**
 * Applies a page in slices of time. Applying a change twice is the same as once, so a change newer than the state that was
 * read does no harm. Returns what does not open.
 */
async function apply({ memories, chunks, deletedIds = [] }: ChangePage, { index, damaged }: LoadedTenant, seal: TenantSeal): Promise<{ id: string; rowVersion: number }[]> {
  const chunksOf = new Map<string, SealedChunk[]>(memories.map(({ id }) => [id, []]));
  for (const chunk of chunks) chunksOf.get(chunk.memoryId)?.push(chunk);
  const unopened: { id: string; rowVersion: number }[] = [];
  const slices = new TimeSlices(SLICE_MS);
  for (const row of memories) {
    try {
      index.put(indexedMemory(row, openMemory(row, seal), openChunks(chunksOf.get(row.id) ?? [], seal)));
      damaged.delete(row.id);
    } catch (error) {
      if (!(error instanceof OpenError)) throw error;
      index.remove(row.id);
      damaged.set(row.id, row.rowVersion);
      unopened.push(row);
    }
    await slices.pause();
  }
  // After the memories: one that an earlier page brought may be among them.
  for (const id of deletedIds) {
    index.remove(id);
    damaged.delete(id);
  }
  return unopened;
}
