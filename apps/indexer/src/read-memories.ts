import { LIMITS } from "@memseal/contracts";
import type { ListQuery, Memory, MemoryVersion } from "@memseal/contracts/indexer";
import { toTimestamp } from "@memseal/contracts/indexer";
import { OpenError, type UserHash } from "@memseal/crypto";
import { DataLossError, NotFoundError } from "@memseal/errors";
import type { TenantKeys } from "@memseal/keys";
import { matches, type Filter } from "@memseal/retrieval";
import type { CallEnd, MemoryStore, SealedMemory, SealedVersion, TenantDatabase } from "@memseal/storage";
import { firstWithin } from "./answer-bytes.js";
import type { IntegrityFailures } from "./integrity-failures.js";
import { fieldsOf } from "./indexed-memory.js";
import type { ListCursors } from "./list-cursor.js";
import { openMemory, toMessage, type MemoryContent } from "./sealed-memory.js";
import type { TenantCache } from "./tenant-cache.js";

export interface MemoryPage {
  memories: Memory[];
  /** Asks for the next page; absent on the last one. */
  nextCursor: string | undefined;
}

interface PageBounds {
  readonly before: string | undefined;
  readonly limit: number;
}

interface RowPage {
  rows: readonly SealedMemory[];
  /** The last memory that was looked at when there are older ones. */
  last: string | undefined;
}

/** Memories by id and by age, and what they were before. `end`: of the call. */
export class ReadMemories {
  constructor(
    private readonly database: TenantDatabase,
    private readonly store: MemoryStore,
    private readonly keys: TenantKeys,
    private readonly cache: TenantCache,
    private readonly cursors: ListCursors,
    private readonly damage: IntegrityFailures,
  ) {}

  /** @throws NotFoundError for absent and foreign ids alike; DataLossError when it does not open */
  async get(tenant: UserHash, id: string, end?: CallEnd): Promise<Memory> {
    const [row] = await this.store.readMemories(this.database.until(end).statementsOf(tenant), [id]);
    if (row === undefined) throw new NotFoundError("memory");
    return toMessage(row, await this.#open(row, tenant, row.epoch));
  }

  /** All kept versions, newest first. @throws NotFoundError; DataLossError when one does not open */
  async history(tenant: UserHash, id: string, end?: CallEnd): Promise<MemoryVersion[]> {
    const { row, older } = await this.database.until(end).withTenant(
      tenant,
      async (tx) => ({ row: (await this.store.readMemories(tx, [id]))[0], older: await this.store.readOlderVersions(tx, id) }),
      { snapshot: true },
    );
    if (row === undefined) throw new NotFoundError("memory");
    const versions: readonly SealedVersion[] = [{ ...row, at: row.updatedAt }, ...older];
    return Promise.all(versions.map(async (version) => ({
      event: version.rowVersion === 1 ? "create" : "update",
      at: toTimestamp(version.at),
      memory: toMessage({ ...row, rowVersion: version.rowVersion, updatedAt: version.at }, await this.#open({ ...version, id }, tenant, row.epoch)),
    })));
  }

  /** A memory as it was in one of its versions. @throws NotFoundError where that, or the memory, is gone; DataLossError */
  async version(tenant: UserHash, id: string, version: number, end?: CallEnd): Promise<Memory> {
    const found = (await this.history(tenant, id, end)).find(({ memory }) => memory?.version === version);
    if (found?.memory === undefined) throw new NotFoundError("memory");
    return found.memory;
  }

  /** Newest first, `limit` at most and fewer where they are large. @throws DataLossError when one does not open; InvalidArgumentError for a cursor that is not from here */
  async list(tenant: UserHash, { limit, cursor, filter }: ListQuery, end?: CallEnd): Promise<MemoryPage> {
    const before = cursor === undefined ? undefined : await this.cursors.decode(tenant, cursor, end);
    const { rows, last } = filter === undefined ? await this.#newest(tenant, { before, limit }, end) : await this.#matching(tenant, filter, { before, limit }, end);
    const opened = await Promise.all(rows.map(async (row) => ({ row, content: await this.#open(row, tenant, row.epoch) })));
    // One that was changed since it was chosen may no longer match.
    const found = filter === undefined ? opened : opened.filter(({ row, content }) => matches(filter, fieldsOf(row, content).fields));
    return {
      memories: found.map(({ row, content }) => toMessage(row, content)),
      nextCursor: last === undefined ? undefined : await this.cursors.encode(tenant, last, end),
    };
  }

  async #newest(tenant: UserHash, { before, limit }: PageBounds, end: CallEnd | undefined): Promise<RowPage> {
    // One more than asked for says whether there are older ones.
    const rows = await this.store.listMemories(this.database.until(end).statementsOf(tenant), { before, limit: limit + 1 });
    const page = firstWithin(rows.slice(0, limit), LIMITS.listPageBytes);
    return { rows: page, last: rows.length > page.length ? page.at(-1)?.id : undefined };
  }

  async #matching(tenant: UserHash, filter: Filter, { before, limit }: PageBounds, end: CallEnd | undefined): Promise<RowPage> {
    const chosen = (await this.cache.use(tenant, ({ index }, now) => index.select({ filter, now, before, limit: limit + 1 }), end)) ?? [];
    const ids = chosen.slice(0, limit).map(({ id }) => id);
    const read = ids.length === 0 ? [] : await this.store.readMemories(this.database.until(end).statementsOf(tenant), ids);
    const rows = [...read].sort((a, b) => (a.id < b.id ? 1 : -1));
    const page = firstWithin(rows, LIMITS.listPageBytes);
    if (page.length < rows.length) return { rows: page, last: page.at(-1)?.id };
    return { rows, last: chosen.length > limit ? ids.at(-1) : undefined };
  }

  async #open(row: Pick<SealedMemory, "id" | "rowVersion" | "textCipher" | "metaCipher">, tenant: UserHash, epoch: number): Promise<MemoryContent> {
    const { keyring } = await this.keys.get(tenant, epoch);
    try {
      return openMemory(row, { tenant, keyring });
    } catch (error) {
      if (!(error instanceof OpenError)) throw error;
      this.damage.report(tenant, epoch, [row]);
      throw new DataLossError(row.id, { cause: error });
    }
  }
}
