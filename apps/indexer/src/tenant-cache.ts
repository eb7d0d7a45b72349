import { setImmediate as nextTick } from "node:timers/promises";
import { OpenError, type Keyring, type UserHash } from "@memseal/crypto";
import { TenantIndex } from "@memseal/retrieval";
import type { Changes, MemoryStore, SealedChunk, TenantDatabase, TenantState } from "@memseal/storage";
import { LRUCache } from "lru-cache";
import { codePointSlicer } from "./code-points.js";
import { openChunk, openMemory, type TenantSeal } from "./sealed-memory.js";
import type { TenantKeys } from "./tenant-keys.js";

/** The event loop is free again after at most this long. */
const SLICE_MS = 10;

/** A tenant's index in memory and how far it has come. */
export interface LoadedTenant {
  readonly index: TenantIndex;
  readonly keyring: Keyring;
  /** Memories left out because a row of theirs does not open. */
  readonly damaged: Set<string>;
  readonly epoch: number;
  readonly generation: number;
  /** Every write up to this seq is in the index. */
  appliedSeq: number;
  /** Evicted: its vectors and postings are zero. */
  cleared: boolean;
}

/**
 * Tenant indexes, built from sealed rows on first use and brought up to date before each use. Bounded in bytes;
 * an evicted index is zeroed.
 */
export class TenantCache {
  readonly #loaded: LRUCache<UserHash, LoadedTenant>;
  readonly #refreshing = new Map<UserHash, Promise<LoadedTenant | undefined>>();

  constructor(
    private readonly database: TenantDatabase,
    private readonly store: MemoryStore,
    private readonly keys: TenantKeys,
    maxBytes: number,
  ) {
    this.#loaded = new LRUCache({ maxSize: maxBytes, sizeCalculation: ({ index }) => index.bytes, dispose: clear });
  }

  /**
   * Runs `use` on an index that has everything acknowledged before this call, or returns undefined where the
   * tenant has nothing. `use` is synchronous: nothing can evict the index under it.
   */
  async use<T>(tenant: UserHash, use: (loaded: LoadedTenant) => T): Promise<T | undefined> {
    for (;;) {
      const state = await this.store.readState(this.database, tenant);
      if (!state?.active) {
        this.#loaded.delete(tenant);
        return undefined;
      }
      const loaded = await this.#refresh(tenant, state);
      if (loaded === undefined) return undefined;
      // Evicted between its refresh and now: an empty answer would be wrong.
      if (loaded.cleared) continue;
      const result = use(loaded);
      // An index larger than the whole cache serves once and is not kept.
      if (!this.#loaded.has(tenant)) clear(loaded);
      return result;
    }
  }

  /** One refresh a tenant at a time; whoever comes while one runs looks again after it. */
  async #refresh(tenant: UserHash, state: TenantState): Promise<LoadedTenant | undefined> {
    for (;;) {
      const loaded = this.#loaded.get(tenant);
      if (loaded !== undefined && isCurrent(loaded, state)) return loaded;
      const running = this.#refreshing.get(tenant);
      if (running === undefined) {
        const refresh = this.#bringUpTo(tenant, state, loaded).finally(() => this.#refreshing.delete(tenant));
        this.#refreshing.set(tenant, refresh);
        return refresh;
      }
      // Its failure is its own caller's; this one tries for itself.
      const other = await running.catch(() => undefined);
      if (other !== undefined && !other.cleared && isCurrent(other, state)) return other;
    }
  }

  async #bringUpTo(tenant: UserHash, state: TenantState, loaded: LoadedTenant | undefined): Promise<LoadedTenant | undefined> {
    const usable = loaded !== undefined && loaded.epoch === state.epoch && loaded.generation === state.generation && loaded.appliedSeq >= state.tombstoneFloor;
    if (loaded !== undefined && !usable) this.#loaded.delete(tenant);
    const target = usable ? loaded : await this.#empty(tenant, state);
    if (target === undefined) return undefined;
    const changes = await this.database.withTenant(
      tenant,
      (tx) => this.store.changesSince(tx, { seq: target.appliedSeq, generation: state.generation }),
      { snapshot: true },
    );
    await apply(changes, target, { tenant, keyring: target.keyring });
    target.appliedSeq = state.seq;
    // Set again also after a catch-up: its size has changed. An evicted one stays out.
    if (!target.cleared) this.#loaded.set(tenant, target);
    return target;
  }

  async #empty(tenant: UserHash, { epoch, generation }: TenantState): Promise<LoadedTenant | undefined> {
    const keyring = await this.keys.find(tenant);
    const embedding = await this.database.withTenant(tenant, (tx) => this.store.readActiveGeneration(tx));
    if (keyring === undefined || embedding?.generation !== generation) return undefined;
    const index = new TenantIndex({ dimension: embedding.dimension });
    return { index, keyring, damaged: new Set(), epoch, generation, appliedSeq: 0, cleared: false };
  }
}

function isCurrent(loaded: LoadedTenant, state: TenantState): boolean {
  return loaded.epoch === state.epoch && loaded.generation === state.generation && loaded.appliedSeq >= state.seq;
}

function clear(loaded: LoadedTenant): void {
  loaded.cleared = true;
  loaded.index.clear();
}

/** Applying a change twice is the same as once, so a change newer than the state that was read does no harm. */
async function apply(changes: Changes, { index, damaged }: LoadedTenant, seal: TenantSeal): Promise<void> {
  for (const id of changes.deletedIds) {
    index.remove(id);
    damaged.delete(id);
  }
  const chunksOf = new Map<string, SealedChunk[]>(changes.memories.map(({ id }) => [id, []]));
  for (const chunk of changes.chunks) chunksOf.get(chunk.memoryId)?.push(chunk);
  let sliceEnd = performance.now() + SLICE_MS;
  for (const row of changes.memories) {
    try {
      const content = openMemory(row, seal);
      const slice = codePointSlicer(content.text);
      const chunks = openChunks(chunksOf.get(row.id) ?? [], seal);
      index.put({
        id: row.id,
        rowVersion: row.rowVersion,
        tags: content.tags,
        source: content.source,
        heading: headingOf(content.occurredAt ?? row.createdAt, content.role ?? content.source),
        chunks: chunks.map(({ start, end, vector }) => ({ start, end, vector, text: slice(start, end) })),
      });
      damaged.delete(row.id);
    } catch (error) {
      if (!(error instanceof OpenError)) throw error;
      index.remove(row.id);
      damaged.add(row.id);
    }
    if (performance.now() > sliceEnd) {
      await nextTick();
      sliceEnd = performance.now() + SLICE_MS;
    }
  }
}

/** @throws OpenError also where chunks are missing: in one snapshot every memory has all of its own */
function openChunks(rows: readonly SealedChunk[], seal: TenantSeal): ReturnType<typeof openChunk>[] {
  if (rows.length === 0 || rows.some(({ chunkNo }, i) => chunkNo !== i)) throw new OpenError();
  return rows.map((row) => openChunk(row, seal));
}

const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

/** `8 May 2023 Maya`: the words of a memory's date and speaker are searched with its text. */
function headingOf(occurredAt: Date, speaker: string | undefined): string {
  return speaker === undefined ? DATE.format(occurredAt) : `${DATE.format(occurredAt)} ${speaker}`;
}
