import type { UserHash } from "@memseal/crypto";
import { NotFoundError } from "@memseal/errors";
import type { MemoryStore, TenantDatabase } from "@memseal/storage";

/** Deletes by id. Never needs to open the row. */
export class DeleteMemory {
  constructor(
    private readonly database: TenantDatabase,
    private readonly store: MemoryStore,
  ) {}

  /** @throws NotFoundError for absent and foreign ids alike */
  async delete(tenant: UserHash, id: string): Promise<void> {
    await this.database.withTenant(tenant, async (tx) => {
      const size = await this.store.sizeOf(tx, id);
      if (size === undefined) throw new NotFoundError("memory");
      const turn = await this.store.takeTurn(tx, { memories: -1, bytes: -size.bytes });
      // Gone while this write waited for its turn: the throw rolls the turn back.
      if (turn === undefined || !(await this.store.deleteMemory(tx, turn, id))) throw new NotFoundError("memory");
    });
  }
}
