import { PutResponse, toTimestamp, type AddedMemory, type PutCommand } from "@memseal/contracts/indexer";
import type { ReferenceKey } from "@memseal/crypto";
import { AppError, InvalidArgumentError } from "@memseal/errors";
import type { TenantKeys, TenantKeySet } from "@memseal/keys";
import { KEPT_VERSIONS, TOMBSTONES_KEPT_MS, type ActiveGeneration, type MemoryRefs, type MemoryStore, type NewSealedMemory, type TenantDatabase, type TenantStore, type TenantTransaction } from "@memseal/storage";
import pLimit from "p-limit";
import { v7 as uuidV7 } from "uuid";
import { auditEvent } from "./audit-trail.js";
import type { TenantCall } from "./call.js";
import { canonicalJson } from "./canonical-json.js";
import { refsOfContent, type ContentRefs } from "./memory-refs.js";
import { sealedBytes, sealMemory, sealsOf, type SealedContent } from "./sealed-memory.js";
import { claimModel, embeddingMismatch, isSameEmbedding, requestOf } from "./tenant-embedding.js";
import { WriteConflict, type OpenTurn } from "./tenant-writes.js";
import { TimeSlices } from "./time-slices.js";
import type { PreparedWrite, WritePath, Written } from "./write-path.js";

/** How the embedder cuts texts as a generation begins; another cut changes no vector's meaning, so nothing depends on it. */
const CHUNKER = "sentences";

/** A call of more chunks is sealed alone: its commit is under way while the next one is sealed. Smaller ones pass between its slices. */
const LARGE_CALL_CHUNKS = 16;
/** Each statement of a commit under way waits for at most this. */
const SLICE_MS = 2;

/** A memory of the call, sealed for what was there under its key when it was read. */
interface PlannedMemory {
  readonly refs: ContentRefs;
  readonly expiresAt: Date | undefined;
  /** The live memory under its key. */
  readonly before: MemoryRefs | undefined;
  /** Undefined where that is the same memory already. */
  readonly sealed: SealedContent | undefined;
}

/** What a put does to the rows, in the order in which it does it. */
interface RowChanges {
  readonly expired: string[];
  readonly updated: NewSealedMemory[];
  readonly created: NewSealedMemory[];
}

/** Adds memories: seal, then put in one transaction of the tenant. */
export class PutMemories {
  readonly #oneLargeCall = pLimit(1);

  constructor(
    private readonly database: TenantDatabase,
    private readonly path: WritePath,
    private readonly tenants: TenantStore,
    private readonly store: MemoryStore,
    private readonly keys: TenantKeys,
  ) {}

  /**
   * Stores all memories or none. A known key updates its memory; an exact duplicate stays the one it is.
   * @throws InvalidArgumentError for a caller's vectors of another dimension than the tenant's, or where a memory has expired already;
   * AppError already_exists for those of another model
   */
  put(call: TenantCall, command: PutCommand): Promise<Written<AddedMemory[]>> {
    return this.path.write(call, {
      repeatable: {
        method: "put",
        request: () => canonicalJson(command.memories.map(({ content, chunks, ...memory }) => [content, requestOf(chunks, memory)])),
        formerRequest: () => canonicalJson({ model: command.model, memories: command.memories.map(({ content, chunks }) => [content, requestOf(chunks, { hasOwnVector: command.model === "" })]) }),
        encode: (results) => PutResponse.encode({ results }).finish(),
        decode: (kept) => PutResponse.decode(kept).results,
      },
      prepare: (active) => this.#prepare(call, command, active),
    });
  }

  async #prepare(call: TenantCall, command: PutCommand, active: ActiveGeneration | undefined): Promise<PreparedWrite<AddedMemory[]>> {
    const embedding = await this.#embeddingOf(call, command, active ?? (await this.#openTenant(call, command)));
    const keys = await this.keys.forSealing(call.tenant, embedding.epoch, command.memories.reduce((sum, { chunks }) => sum + sealsOf(chunks.length), 0));
    const chunks = command.memories.reduce((sum, memory) => sum + memory.chunks.length, 0);
    const plan = () => this.#plan(call, command, embedding, keys);
    const planned = chunks > LARGE_CALL_CHUNKS ? await this.#oneLargeCall(plan) : await plan();
    return {
      keys,
      chunks,
      commit: async (tx, turn, references) => {
        if (turn.generation !== embedding.generation) throw new WriteConflict();
        await claimModel(tx, this.tenants, command, embedding);
        const added = await this.#commit(tx, turn, planned);
        turn.audit(auditEvent(references, { actor: call.actor, action: "add", targets: added.map(({ id }) => id) }), references);
        return added;
      },
    };
  }

  /** A tenant's first write makes it. Where another first write was faster, its embedding generation is the tenant's. */
  async #openTenant(call: TenantCall, { model, dimension }: PutCommand): Promise<ActiveGeneration> {
    const { tenant } = call;
    const database = this.database.until(call);
    const keys = await this.keys.wrapFirst(tenant);
    const isOpen = await database.withTenant(tenant, (tx) => this.tenants.open(tx, keys, { model, dimension, chunker: CHUNKER }));
    if (!isOpen) throw new AppError("aborted", "what this user had is being erased; try again");
    const embedding = await this.tenants.readActiveGeneration(database, tenant);
    if (embedding === undefined) throw new AppError("data_loss", "this tenant's embedding generation is missing: restore it from your backup");
    return embedding;
  }

  /**
   * The generation that the call's vectors fit. Of a tenant without a memory a new one takes them: neither a stray vector nor
   * a model of before binds it. @throws as embeddingMismatch says
   */
  async #embeddingOf(call: TenantCall, command: PutCommand, active: ActiveGeneration): Promise<ActiveGeneration> {
    if (isSameEmbedding(command, active)) return active;
    const embedding = { model: command.model, dimension: command.dimension, chunker: CHUNKER };
    const generation = await this.database.until(call).withTenant(call.tenant, (tx) => this.tenants.beginGeneration(tx, active.generation, embedding));
    if (generation === undefined) throw embeddingMismatch(command, active, "memories[0].vector");
    return { ...active, ...embedding, generation };
  }

  async #plan(call: TenantCall, command: PutCommand, { generation }: ActiveGeneration, keys: TenantKeySet): Promise<PlannedMemory[]> {
    const { tenant } = call;
    const references: ReferenceKey = await keys.referenceKey();
    const slices = new TimeSlices(SLICE_MS);
    const refsOf: ContentRefs[] = [];
    for (const { content } of command.memories) {
      refsOf.push(refsOfContent(content, references));
      await slices.pause();
    }
    const keyRefs = definedOf(refsOf.map(({ keyRef }) => keyRef));
    const known = keyRefs.length === 0 ? [] : await this.database.until(call).withTenant(tenant, (tx) => this.store.findByRefs(tx, { keyRefs, contentRefs: [] }));
    const byKey = new Map(known.filter(({ isExpired }) => !isExpired).map((memory) => [hex(memory.keyRef), memory]));
    const planned: PlannedMemory[] = [];
    for (const [i, { content, chunks, hasOwnVector }] of command.memories.entries()) {
      const refs = refsOf[i];
      const before = refs.keyRef && byKey.get(hex(refs.keyRef));
      // The embedder makes the same vectors of the same text; a caller's own may have changed.
      const isSame = before !== undefined && !hasOwnVector && hex(before.contentRef) === hex(refs.contentRef);
      const at = { id: before?.id ?? uuidV7(), rowVersion: (before?.rowVersion ?? 0) + 1, generation };
      planned.push({ refs, expiresAt: content.expiresAt, before, sealed: isSame ? undefined : sealMemory({ ...content, hasOwnVector }, chunks, { tenant, keyring: keys.keyring }, at) });
      await slices.pause();
    }
    return planned;
  }

  async #commit(tx: TenantTransaction, turn: OpenTurn, planned: readonly PlannedMemory[]): Promise<AddedMemory[]> {
    const keyRefs = definedOf(planned.map(({ refs }) => refs.keyRef));
    const contentRefs = definedOf(planned.map(({ refs }) => (refs.keyRef === undefined ? refs.contentRef : undefined)));
    const known = keyRefs.length + contentRefs.length === 0 ? [] : await this.store.findByRefs(tx, { keyRefs, contentRefs });
    const nextPosition = await this.#positions(tx, planned);
    const changes: RowChanges = { expired: [], updated: [], created: [] };
    const place = placer(turn, known, nextPosition, changes);
    const added = planned.map(place);
    await this.#apply(tx, turn, changes);
    return added;
  }

  /** Gives out the next position of a run. */
  async #positions(tx: TenantTransaction, planned: readonly PlannedMemory[]): Promise<(runRef: Buffer | undefined) => number | undefined> {
    const runRefs = new Map(definedOf(planned.map(({ refs }) => refs.runRef)).map((runRef) => [hex(runRef), runRef]));
    const last = runRefs.size === 0 ? new Map<string, number>() : await this.store.lastPositions(tx, [...runRefs.values()]);
    return (runRef) => {
      if (runRef === undefined) return undefined;
      const position = (last.get(hex(runRef)) ?? -1) + 1;
      last.set(hex(runRef), position);
      return position;
    };
  }

  async #apply(tx: TenantTransaction, turn: OpenTurn, { expired, updated, created }: RowChanges): Promise<void> {
    for (const { expiresAt, rowVersion } of [...updated, ...created]) {
      turn.dueBy(expiresAt);
      if (rowVersion > KEPT_VERSIONS) turn.dueBy(turn.at);
    }
    if (expired.length > 0) {
      const gone = await this.store.deleteMemories(tx, turn, expired);
      turn.add({ memories: -gone.memories, bytes: -gone.bytes });
      turn.dueBy(new Date(turn.at.getTime() + TOMBSTONES_KEPT_MS));
    }
    turn.add({ memories: created.length, bytes: sealedBytes([...updated, ...created]) });
    if (updated.length > 0) {
      const replaced = await this.store.updateMemories(tx, turn, updated);
      if (replaced === undefined) throw new WriteConflict();
      turn.add({ memories: 0, bytes: -replaced.chunkBytes });
    }
    if (created.length > 0) await this.store.insertMemories(tx, turn, created);
  }
}

/** Decides, under the tenant's lock, what each memory of the call becomes, and notes it in `changes`. */
function placer(
  turn: OpenTurn,
  known: readonly MemoryRefs[],
  nextPosition: (runRef: Buffer | undefined) => number | undefined,
  changes: RowChanges,
): (planned: PlannedMemory, at: number) => AddedMemory {
  const byKey = new Map(known.filter(({ keyRef }) => keyRef !== undefined).map((memory) => [hex(memory.keyRef), memory]));
  const byContent = new Map<string, Pick<MemoryRefs, "id" | "rowVersion" | "position" | "createdAt">>(
    known.filter(({ keyRef, isExpired }) => keyRef === undefined && !isExpired).map((memory) => [hex(memory.contentRef), memory]),
  );
  return ({ refs, before, sealed, expiresAt }, at) => {
    const row = refs.keyRef && byKey.get(hex(refs.keyRef));
    const live = row?.isExpired === true ? undefined : row;
    if (live?.id !== before?.id || live?.rowVersion !== before?.rowVersion) throw new WriteConflict();
    const same = refs.keyRef === undefined && refs.contentRef !== undefined ? byContent.get(hex(refs.contentRef)) : sealed === undefined ? live : undefined;
    if (same !== undefined) return addedMemory(same, same.createdAt, "duplicate");
    if (sealed === undefined) throw new WriteConflict();
    if (expiresAt !== undefined && expiresAt <= turn.at) throw new InvalidArgumentError(`memories[${at}].expires_at`, "must be later than now");

    if (live !== undefined) {
      const staysInRun = hex(live.runRef) === hex(refs.runRef);
      const updated = { ...sealed, ...refs, position: staysInRun ? live.position : nextPosition(refs.runRef) };
      changes.updated.push(updated);
      return addedMemory(updated, live.createdAt, "update");
    }
    if (row !== undefined) changes.expired.push(row.id);
    const created = { ...sealed, ...refs, position: nextPosition(refs.runRef) };
    changes.created.push(created);
    if (refs.keyRef === undefined && refs.contentRef !== undefined) byContent.set(hex(refs.contentRef), { ...created, createdAt: turn.at });
    return addedMemory(created, turn.at, "create");
  };
}

function addedMemory({ id, rowVersion, position }: Pick<MemoryRefs, "id" | "rowVersion" | "position">, createdAt: Date, event: string): AddedMemory {
  return { id, createdAt: toTimestamp(createdAt), version: rowVersion, event, position };
}

function definedOf(refs: readonly (Buffer | undefined)[]): Buffer[] {
  return refs.filter((ref) => ref !== undefined);
}

function hex(ref: Buffer | undefined): string {
  return ref?.toString("hex") ?? "";
}
