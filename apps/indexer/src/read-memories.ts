import type { Memory } from "@memseal/contracts/indexer";
import { OpenError, type UserHash } from "@memseal/crypto";
import { DataLossError, NotFoundError } from "@memseal/errors";
import type { TenantKeys } from "@memseal/keys";
import type { MemoryStore, SealedMemory, TenantDatabase } from "@memseal/storage";
import { openMemory, toMessage } from "./sealed-memory.js";

export interface MemoryPage {
  memories: Memory[];
  /** Id of the last memory when there are older ones. */
  next: string | undefined;
}

/** Memories by id and by age. */
export class ReadMemories {
  constructor(
    private readonly database: TenantDatabase,
    private readonly store: MemoryStore,
    private readonly keys: TenantKeys,
  ) {}

  /** @throws NotFoundError for absent and foreign ids alike; DataLossError when it does not open */
  async get(tenant: UserHash, id: string): Promise<Memory> {
    const [row] = await this.database.withTenant(tenant, (tx) => this.store.readMemories(tx, [id]));
    if (row === undefined) throw new NotFoundError("memory");
    return this.#openForCaller(row, tenant);
  }

  /** Newest first. @throws DataLossError when one does not open */
  async list(tenant: UserHash, { before, limit }: { before: string | undefined; limit: number }): Promise<MemoryPage> {
    // One more than asked for says whether there are older ones.
    const rows = await this.database.withTenant(tenant, (tx) => this.store.listMemories(tx, { before, limit: limit + 1 }));
    const page = rows.slice(0, limit);
    return {
      memories: await Promise.all(page.map((row) => this.#openForCaller(row, tenant))),
      next: rows.length > limit ? page.at(-1)?.id : undefined,
    };
  }

  async #openForCaller(row: SealedMemory, tenant: UserHash): Promise<Memory> {
    const { keyring } = await this.keys.get(tenant, row.epoch);
    try {
      return toMessage(row, openMemory(row, { tenant, keyring }));
    } catch (error) {
      if (error instanceof OpenError) throw new DataLossError(row.id, { cause: error });
      throw error;
    }
  }
}
