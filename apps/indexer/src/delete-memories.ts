import { DeleteResponse, type DeleteMany, type Selection } from "@memseal/contracts/indexer";
import { NotFoundError } from "@memseal/errors";
import type { TenantKeys } from "@memseal/keys";
import type { Filter } from "@memseal/retrieval";
import { TOMBSTONES_KEPT_MS, type ActiveGeneration, type Deleted, type MemoryStore, type TenantDatabase, type TenantStore, type TenantTransaction } from "@memseal/storage";
import { auditEvent } from "./audit-trail.js";
import type { TenantCall } from "./call.js";
import { canonicalJson } from "./canonical-json.js";
import { requireVersion } from "./if-match.js";
import type { TenantCache } from "./tenant-cache.js";
import { WriteConflict, type OpenTurn } from "./tenant-writes.js";
import type { PreparedWrite, WriteOperation, WritePath, Written } from "./write-path.js";

/** What a deletion took away; no ids where it was everything. */
interface DeletedRows extends Deleted {
  ids: readonly string[];
}

/** Deletes memories with their chunks and history. Never needs to open a row. */
export class DeleteMemories {
  constructor(
    private readonly database: TenantDatabase,
    private readonly path: WritePath,
    private readonly tenants: TenantStore,
    private readonly store: MemoryStore,
    private readonly keys: TenantKeys,
    private readonly cache: TenantCache,
  ) {}

  /** @throws NotFoundError for absent and foreign ids alike; AppError failed_precondition for a version other than `ifMatch` */
  deleteOne(call: TenantCall, id: string, ifMatch?: number): Promise<Written<number>> {
    return this.#write(call, "delete", () => canonicalJson(ifMatch === undefined ? id : { id, ifMatch }), async (active) => {
      if (active === undefined) throw new NotFoundError("memory");
      return this.#deletion(call, active, async (tx, turn) => {
        const version = ifMatch === undefined ? undefined : (await this.store.readVersions(tx, [id])).get(id);
        // One that is not there is not found, below.
        if (version !== undefined) requireVersion(version, ifMatch);
        const gone = await this.store.deleteMemories(tx, turn, [id]);
        if (gone.live === 0) throw new NotFoundError("memory");
        return { ...gone, ids: [id] };
      });
    });
  }

  /** Deletes what the selection names, all in one transaction. How many there were; absent and foreign ids are not counted. */
  deleteMany(call: TenantCall, { selection, dryRun }: DeleteMany): Promise<Written<number>> {
    return this.#write(call, "delete_many", () => canonicalJson({ selection, dryRun }), async (active) => {
      if (active === undefined) return { answer: 0 };
      if (dryRun) return { answer: await this.#count(call, selection, active) };
      return this.#deletion(call, active, await this.#selected(call, selection, active));
    });
  }

  #write(call: TenantCall, method: string, request: () => string, prepare: WriteOperation<number>["prepare"]): Promise<Written<number>> {
    return this.path.write(call, {
      repeatable: {
        method,
        request,
        encode: (deleted) => DeleteResponse.encode({ deleted }).finish(),
        decode: (kept) => DeleteResponse.decode(kept).deleted,
      },
      prepare,
    });
  }

  async #deletion(call: TenantCall, { epoch }: ActiveGeneration, run: (tx: TenantTransaction, turn: OpenTurn) => Promise<DeletedRows>): Promise<PreparedWrite<number>> {
    return {
      keys: await this.keys.get(call.tenant, epoch),
      chunks: 0,
      commit: async (tx, turn, references) => {
        const { ids, memories, live, bytes } = await run(tx, turn);
        turn.add({ memories: -memories, bytes: -bytes });
        turn.dueBy(new Date(turn.at.getTime() + TOMBSTONES_KEPT_MS));
        turn.audit(auditEvent(references, { actor: call.actor, action: "delete", targets: ids }), references);
        return live;
      },
    };
  }

  /** What runs under the tenant's lock. */
  async #selected(call: TenantCall, selection: Selection, active: ActiveGeneration): Promise<(tx: TenantTransaction, turn: OpenTurn) => Promise<DeletedRows>> {
    if ("all" in selection) {
      return async (tx, turn) => {
        const gone = await this.store.deleteAll(tx, turn);
        await this.tenants.raiseTombstoneFloor(tx, turn.seq);
        return { ...gone, ids: [] };
      };
    }
    if ("ids" in selection) return (tx, turn) => this.#deleteIds(tx, turn, selection.ids);
    if ("key" in selection) {
      const keyRef = await this.#keyRef(call, selection.key, active);
      return async (tx, turn) => this.#deleteIds(tx, turn, (await this.store.findByRefs(tx, { keyRefs: [keyRef], contentRefs: [] })).map(({ id }) => id));
    }
    const matching = await this.#matching(call, selection.filter);
    return async (tx, turn) => {
      // What changed since it was found may no longer match: look again.
      const now = await this.store.readVersions(tx, matching.map(({ id }) => id));
      if (matching.some(({ id, rowVersion }) => now.has(id) && now.get(id) !== rowVersion)) throw new WriteConflict();
      return this.#deleteIds(tx, turn, matching.map(({ id }) => id));
    };
  }

  async #deleteIds(tx: TenantTransaction, turn: OpenTurn, ids: readonly string[]): Promise<DeletedRows> {
    return { ...(await this.store.deleteMemories(tx, turn, ids)), ids };
  }

  async #count(call: TenantCall, selection: Selection, active: ActiveGeneration): Promise<number> {
    if ("filter" in selection) return (await this.#matching(call, selection.filter)).length;
    const keyRef = "key" in selection ? await this.#keyRef(call, selection.key, active) : undefined;
    return this.database.until(call).withTenant(call.tenant, async (tx) => {
      if ("all" in selection) return this.store.countMemories(tx);
      if ("ids" in selection) return (await this.store.readVersions(tx, selection.ids)).size;
      const found = await this.store.findByRefs(tx, { keyRefs: keyRef === undefined ? [] : [keyRef], contentRefs: [] });
      return found.filter(({ isExpired }) => !isExpired).length;
    });
  }

  async #keyRef(call: TenantCall, key: string, { epoch }: ActiveGeneration): Promise<Buffer> {
    return (await (await this.keys.get(call.tenant, epoch)).referenceKey()).reference("key", key);
  }

  async #matching(call: TenantCall, filter: Filter): Promise<{ id: string; rowVersion: number }[]> {
    return (await this.cache.use(call.tenant, ({ index }, now) => index.select({ filter, now }), call)) ?? [];
  }
}
