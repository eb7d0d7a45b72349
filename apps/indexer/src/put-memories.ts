import type { AddedMemory, PutCommand } from "@memseal/contracts/indexer";
import { toTimestamp } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { AppError, InvalidArgumentError } from "@memseal/errors";
import type { TenantKeys } from "@memseal/keys";
import type { ActiveGeneration, EmbeddingGeneration, MemoryStore, NewSealedMemory, TenantDatabase, TenantTransaction, WriteTurn } from "@memseal/storage";
import { v7 as uuidV7 } from "uuid";
import { sealMemory } from "./sealed-memory.js";
import type { TenantWrites } from "./tenant-writes.js";

/** How the embedder cuts texts; recorded with the tenant's vectors. */
const CHUNKER = "window-32";
const FIRST_GENERATION = 1;

/** The write path: seal, then put in one transaction of the tenant. */
export class PutMemories {
  constructor(
    private readonly database: TenantDatabase,
    private readonly writes: TenantWrites,
    private readonly store: MemoryStore,
    private readonly keys: TenantKeys,
  ) {}

  /**
   * Stores all memories or none.
   * @throws InvalidArgumentError when the vectors are not of the tenant's dimension
   */
  async put(tenant: UserHash, command: PutCommand): Promise<AddedMemory[]> {
    const embedding = await this.#prepare(tenant, command);
    assertDimension(command, embedding.dimension);
    const { keyring, epoch } = await this.keys.forSealing(tenant, embedding.epoch, sealsOf(command));
    const sealed = command.memories.map(({ content, chunks }) =>
      sealMemory(content, chunks, { tenant, keyring }, { id: uuidV7(), generation: embedding.generation }),
    );
    const turn = await this.writes.run(tenant, async (tx): Promise<WriteTurn> => {
      const taken = await this.store.takeTurn(tx);
      if (taken?.generation !== embedding.generation || taken.epoch !== epoch || !(await this.#claimModel(tx, command, embedding))) {
        throw new AppError("aborted", "the tenant changed while the memories were sealed; try again", { retryAfterS: 1 });
      }
      await this.store.insertMemories(tx, taken, sealed);
      await this.store.addToTotals(tx, { memories: sealed.length, bytes: bytesOf(sealed) });
      return taken;
    });
    return sealed.map(({ id, rowVersion }) => ({ id, createdAt: toTimestamp(turn.at), version: rowVersion, event: "create" }));
  }

  /** The tenant's embedding generation; its first write makes the tenant. */
  async #prepare(tenant: UserHash, { model, dimension }: PutCommand): Promise<ActiveGeneration> {
    const first = { generation: FIRST_GENERATION, model, dimension, chunker: CHUNKER };
    // Where another first write was faster, its generation is the tenant's.
    let embedding = await this.#activeGeneration(tenant);
    if (embedding === undefined) {
      const keys = await this.keys.wrapFirst(tenant);
      await this.database.withTenant(tenant, (tx) => this.store.createTenant(tx, keys, first));
      embedding = await this.#activeGeneration(tenant);
    }
    if (embedding === undefined) throw new AppError("data_loss", "this tenant's embedding generation is missing: restore it from your backup");
    // Vectors of two models have no common meaning. A caller's own vectors ("") are the caller's business.
    if (model !== "" && embedding.model !== "" && model !== embedding.model) {
      throw new AppError("failed_precondition", `this tenant's memories are embedded with ${embedding.model}, the embedder now runs ${model}`);
    }
    return embedding;
  }

  /** The first model that embeds for a tenant of callers' own vectors is its model from then on. */
  async #claimModel(tx: TenantTransaction, { model }: PutCommand, { generation, model: known }: EmbeddingGeneration): Promise<boolean> {
    return model === "" || model === known || this.store.nameModel(tx, { generation, model });
  }

  #activeGeneration(tenant: UserHash): Promise<ActiveGeneration | undefined> {
    return this.database.withTenant(tenant, (tx) => this.store.readActiveGeneration(tx));
  }
}

function assertDimension(command: PutCommand, dimension: number): void {
  if (command.dimension !== dimension) {
    throw new InvalidArgumentError("memories", `their vectors have ${command.dimension} values, this user's other vectors have ${dimension}: all must come from one model`);
  }
}

/** One for the text, one for the metadata, one a chunk. */
function sealsOf({ memories }: PutCommand): number {
  return memories.reduce((sum, { chunks }) => sum + 2 + chunks.length, 0);
}

function bytesOf(memories: readonly NewSealedMemory[]): number {
  return memories.reduce(
    (sum, { textCipher, metaCipher, chunks }) => sum + textCipher.length + metaCipher.length + chunks.reduce((s, { embCipher }) => s + embCipher.length, 0),
    0,
  );
}
