import type { UserHash } from "@memseal/crypto";
import { NotFoundError } from "@memseal/errors";
import type { MemoryStore } from "@memseal/storage";
import type { TenantWrites } from "./tenant-writes.js";

/** Deletes by id. Never needs to open the row. */
export class DeleteMemory {
  constructor(
    private readonly writes: TenantWrites,
    private readonly store: MemoryStore,
  ) {}

  /** @throws NotFoundError for absent and foreign ids alike */
  async delete(tenant: UserHash, id: string): Promise<void> {
    await this.writes.run(tenant, async (tx) => {
      const turn = await this.store.takeTurn(tx);
      const gone = turn && await this.store.deleteMemory(tx, turn, id);
      // The throw rolls the turn back, too.
      if (gone === undefined) throw new NotFoundError("memory");
      await this.store.addToTotals(tx, { memories: -1, bytes: -gone.bytes });
    });
  }
}
