import { speakerOf, type ChunkVector, type Memory, type MemoryChanges, type UpdateCommand } from "@memseal/contracts/indexer";
import { OpenError, type UserHash } from "@memseal/crypto";
import { AppError, DataLossError, InvalidArgumentError, NotFoundError } from "@memseal/errors";
import type { TenantKeys } from "@memseal/keys";
import { KEPT_VERSIONS, type ActiveGeneration, type MemoryStore, type SealedChunk, type SealedMemory, type TenantDatabase, type TenantStore } from "@memseal/storage";
import { auditEvent } from "./audit-trail.js";
import type { TenantCall } from "./call.js";
import { canonicalJson } from "./canonical-json.js";
import { requireVersion } from "./if-match.js";
import type { IntegrityFailures } from "./integrity-failures.js";
import { refsOfContent } from "./memory-refs.js";
import type { ReadMemories } from "./read-memories.js";
import { openChunks, openMemory, sealedBytes, sealMemory, sealsOf, toMessage, type MemoryContent } from "./sealed-memory.js";
import { claimModel, embeddingMismatch, isSameEmbedding, requestOf } from "./tenant-embedding.js";
import { WriteConflict } from "./tenant-writes.js";
import type { PreparedWrite, WritePath, Written } from "./write-path.js";

/** A memory as it was read, with its chunks where they may stay: its text does not change. */
interface StoredMemory {
  readonly row: SealedMemory;
  readonly rowChunks: readonly SealedChunk[];
}

/** Changes a memory: its next version is sealed anew, whole, and the one before becomes history. */
export class UpdateMemory {
  constructor(
    private readonly database: TenantDatabase,
    private readonly path: WritePath,
    private readonly tenants: TenantStore,
    private readonly store: MemoryStore,
    private readonly keys: TenantKeys,
    private readonly reads: ReadMemories,
    private readonly damage: IntegrityFailures,
  ) {}

  /**
   * @throws NotFoundError for absent and foreign ids alike; AppError failed_precondition for a version other than `ifMatch`,
   * aborted for one other than its chunks were made of;
   * DataLossError when the memory does not open
   */
  update(call: TenantCall, command: UpdateCommand): Promise<Written<Memory>> {
    const { id, ifMatch, changes, chunks, model } = command;
    return this.path.write(call, {
      repeatable: {
        method: "update",
        request: () => canonicalJson({ id, ifMatch, changes, vectors: requestOf(chunks, { hasOwnVector: model === "" }) }),
        // A text kept here would outlive its memory: which version it was is enough.
        encode: ({ version }) => Buffer.from(String(version)),
        decode: (kept) => this.reads.version(call.tenant, id, Number(kept), call),
      },
      prepare: (active) => this.#prepare(call, command, active),
    });
  }

  async #prepare(call: TenantCall, command: UpdateCommand, active: ActiveGeneration | undefined): Promise<PreparedWrite<Memory>> {
    if (active === undefined) throw new NotFoundError("memory");
    const { id, changes } = command;
    const { row, rowChunks } = await this.#read(call, command, active);
    const held = { tenant: call.tenant, keyring: (await this.keys.get(call.tenant, row.epoch)).keyring };
    const before = this.#open(row, call.tenant, () => openMemory(row, held));
    const given = givenChunks(command, before, row.rowVersion, active);
    const content = { ...changed(before, changes), hasOwnVector: given === undefined ? before.hasOwnVector : command.model === "" };
    const chunks = given ?? this.#open(row, call.tenant, () => openChunks(rowChunks, held));
    const keys = await this.keys.forSealing(call.tenant, row.epoch, sealsOf(chunks.length));
    const seal = { tenant: call.tenant, keyring: keys.keyring };
    const at = { id, rowVersion: row.rowVersion + 1, generation: active.generation };
    const sealed = { ...sealMemory(content, chunks, seal, at), ...refsOfContent(content, await keys.referenceKey()), position: row.position };
    return {
      keys,
      chunks: chunks.length,
      commit: async (tx, turn, references) => {
        if (turn.generation !== active.generation) throw new WriteConflict();
        if (content.expiresAt !== undefined && content.expiresAt <= turn.at) throw new InvalidArgumentError("expires_at", "must be later than now");
        if (given !== undefined) await claimModel(tx, this.tenants, command, active);
        const replaced = await this.store.updateMemories(tx, turn, [sealed]);
        if (replaced === undefined) throw new WriteConflict();
        turn.add({ memories: 0, bytes: sealedBytes([sealed]) - replaced.chunkBytes });
        turn.dueBy(content.expiresAt);
        if (at.rowVersion > KEPT_VERSIONS) turn.dueBy(turn.at);
        turn.audit(auditEvent(references, { actor: call.actor, action: "update", targets: [id] }), references);
        return toMessage({ ...at, position: row.position, createdAt: row.createdAt, updatedAt: turn.at }, content);
      },
    };
  }

  async #read(call: TenantCall, { id, ifMatch, changes }: UpdateCommand, active: ActiveGeneration): Promise<StoredMemory> {
    const { row, rowChunks } = await this.database.until(call).withTenant(
      call.tenant,
      async (tx) => ({
        row: (await this.store.readMemories(tx, [id]))[0],
        rowChunks: changes.text !== undefined ? [] : await this.store.readChunks(tx, { id, generation: active.generation }),
      }),
      { snapshot: true },
    );
    if (row === undefined) throw new NotFoundError("memory");
    requireVersion(row.rowVersion, ifMatch);
    return { row, rowChunks };
  }

  #open<T>(row: SealedMemory, tenant: UserHash, open: () => T): T {
    try {
      return open();
    } catch (error) {
      if (!(error instanceof OpenError)) throw error;
      this.damage.report(tenant, row.epoch, [row]);
      throw new DataLossError(row.id, { cause: error });
    }
  }
}

/**
 * The chunks that replace the memory's; undefined where those stay. A caller's own vector stays until the text changes: who
 * speaks is not in it.
 * @throws AppError aborted for chunks that were made of another version, or were not made and are needed; as embeddingMismatch says
 */
function givenChunks({ changes, chunks, model, embeddedVersion }: UpdateCommand, before: MemoryContent, version: number, active: ActiveGeneration): readonly ChunkVector[] | undefined {
  if (changes.text === undefined && (active.model === "" || before.hasOwnVector === true)) return undefined;
  const isReembedded = chunks.length > 0 || speakerOf(changed(before, changes)) !== speakerOf(before);
  if (isReembedded && embeddedVersion !== undefined && embeddedVersion !== version) {
    throw new AppError("aborted", "the memory changed while it was embedded: embed it again", { field: "embedded_version" });
  }
  if (chunks.length === 0) return undefined;
  const given = { model, dimension: chunks[0].vector.length };
  if (!isSameEmbedding(given, active)) throw embeddingMismatch(given, active, "vector");
  return chunks;
}

/** undefined leaves a field as it is, null clears it. */
function changed(content: MemoryContent, changes: MemoryChanges): MemoryContent {
  const set = <T>(value: T | null | undefined, before: T | undefined): T | undefined => (value === undefined ? before : (value ?? undefined));
  return {
    ...content,
    text: changes.text ?? content.text,
    agentId: set(changes.agentId, content.agentId),
    role: set(changes.role, content.role),
    source: set(changes.source, content.source),
    tags: set(changes.tags, content.tags) ?? [],
    metadata: set(changes.metadata, content.metadata),
    occurredAt: set(changes.occurredAt, content.occurredAt),
    expiresAt: set(changes.expiresAt, content.expiresAt),
  };
}
