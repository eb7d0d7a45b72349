import { setImmediate as nextTick } from "node:timers/promises";
import { filterableMetadata } from "@memseal/contracts/indexer";
import { OpenError, type UserHash } from "@memseal/crypto";
import { AppError } from "@memseal/errors";
import type { TenantKeys } from "@memseal/keys";
import { TenantIndex, type IndexedMemory } from "@memseal/retrieval";
import type { Changes, MemoryStore, SealedChunk, SealedMemory, TenantDatabase, TenantState } from "@memseal/storage";
import { LRUCache } from "lru-cache";
import { codePointSlicer } from "./code-points.js";
import { openChunk, openMemory, type MemoryContent, type TenantSeal } from "./sealed-memory.js";

/** The event loop is free again after at most this long. */
const SLICE_MS = 10;

/** A tenant's index in memory and how far it has come. */
export interface LoadedTenant {
  readonly index: TenantIndex;
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
  // Held in a wrapper, new at each change: the cache measures an entry when it is set, and only where it differs.
  readonly #cached: LRUCache<UserHash, { readonly loaded: LoadedTenant }>;
  readonly #refreshing = new Map<UserHash, Promise<LoadedTenant>>();

  constructor(
    private readonly database: TenantDatabase,
    private readonly store: MemoryStore,
    private readonly keys: TenantKeys,
    maxBytes: number,
  ) {
    this.#cached = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: ({ loaded }) => loaded.index.bytes,
      // "set": the same index, measured again.
      dispose: ({ loaded }, _tenant, reason) => { if (reason !== "set") clear(loaded); },
    });
  }

  /**
   * Runs `use` on an index that has everything acknowledged before this call, or returns undefined where the
   * tenant has nothing. `use` is synchronous: nothing can evict the index under it.
   */
  async use<T>(tenant: UserHash, use: (loaded: LoadedTenant) => T): Promise<T | undefined> {
    for (;;) {
      const state = await this.store.readState(this.database, tenant);
      if (!state?.active) {
        this.#cached.delete(tenant);
        return undefined;
      }
      const loaded = await this.#refresh(tenant, state);
      // Evicted between its refresh and now: an empty answer would be wrong.
      if (loaded.cleared) continue;
      try {
        return use(loaded);
      } finally {
        // An index larger than the whole cache serves once and is not kept.
        if (this.#cached.peek(tenant)?.loaded !== loaded) clear(loaded);
      }
    }
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
    const usable = loaded !== undefined && loaded.epoch >= state.epoch && loaded.generation === state.generation;
    if (loaded !== undefined && !usable) this.#cached.delete(tenant);
    const target = usable ? loaded : await this.#empty(tenant, state);
    const changes = await this.database.withTenant(
      tenant,
      (tx) => this.store.changesSince(tx, { seq: target.appliedSeq, generation: target.generation }),
      { snapshot: true },
    );
    const isOvertaken = changes.epoch !== target.epoch;
    // Deletions between the two have left no trace: only a fresh load knows what is gone.
    const isBehindFloor = target.appliedSeq > 0 && target.appliedSeq < changes.tombstoneFloor;
    if (isOvertaken || isBehindFloor) {
      this.#cached.delete(tenant);
      return this.#bringUp(tenant, { ...state, epoch: changes.epoch }, undefined);
    }
    const { keyring } = await this.keys.get(tenant, changes.epoch);
    await apply(changes, target, { tenant, keyring });
    target.appliedSeq = changes.seq;
    // Evicted while it was filled: zero what came in since, and leave it out.
    if (target.cleared) clear(target);
    else this.#cached.set(tenant, { loaded: target });
    return target;
  }

  async #empty(tenant: UserHash, { epoch }: TenantState): Promise<LoadedTenant> {
    const embedding = await this.database.withTenant(tenant, (tx) => this.store.readActiveGeneration(tx));
    if (embedding === undefined) throw new AppError("data_loss", "this tenant's embedding generation is missing: restore it from your backup");
    const { dimension, generation } = embedding;
    return { index: new TenantIndex({ dimension }), damaged: new Set(), epoch, generation, appliedSeq: 0, cleared: false };
  }
}

function isCurrent(loaded: LoadedTenant, state: TenantState): boolean {
  return loaded.epoch >= state.epoch && loaded.generation === state.generation && loaded.appliedSeq >= state.seq;
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
      const { fields, leftOut } = filterableOf(row, content);
      const chunks = openChunks(chunksOf.get(row.id) ?? [], seal);
      index.put({
        id: row.id,
        rowVersion: row.rowVersion,
        fields,
        leftOut,
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

/** By the names that callers use in filters. */
function filterableOf({ createdAt, updatedAt }: SealedMemory, content: MemoryContent): Pick<IndexedMemory, "fields" | "leftOut"> {
  const { agentId, role, source, tags, metadata = {}, occurredAt = createdAt } = content;
  const { kept, leftOut } = filterableMetadata(metadata);
  const times = { occurred_at: occurredAt.getTime(), created_at: createdAt.getTime(), updated_at: updatedAt.getTime() };
  return { fields: { agent_id: agentId, role, source, tags, ...times, metadata: kept }, leftOut };
}

const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

/** `8 May 2023 Maya`: the words of a memory's date and speaker are searched with its text. */
function headingOf(occurredAt: Date, speaker: string | undefined): string {
  return speaker === undefined ? DATE.format(occurredAt) : `${DATE.format(occurredAt)} ${speaker}`;
}
