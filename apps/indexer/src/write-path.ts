import { FIELD, KeysChangedError, open, seal, type Place, type ReferenceKey, type UserHash } from "@memseal/crypto";
import { AppError } from "@memseal/errors";
import type { TenantKeys, TenantKeySet } from "@memseal/keys";
import type { ActiveGeneration, IdempotencyStore, TenantDatabase, TenantStore, TenantTransaction } from "@memseal/storage";
import { LRUCache } from "lru-cache";
import type { TenantCall } from "./call.js";
import { WriteConflict, type OpenTurn, type TenantWrites } from "./tenant-writes.js";

const MAX_ATTEMPTS = 3;
/** How long an answer is given again. */
export const KEPT_ANSWER_MS = 24 * 3_600_000;
const ANSWER_VERSION = 1;
const REMEMBERED_TENANTS = 10_000;

/** A write whose slow part is done. */
export interface PreparedWrite<Answer> {
  readonly keys: TenantKeySet;
  /** As in TenantWrite. */
  readonly chunks: number;
  commit(tx: TenantTransaction, turn: OpenTurn, references: ReferenceKey): Promise<Answer>;
}

/** How a method's requests are told apart, and their answers kept to be given again. */
export interface Repeatable<Answer> {
  /** Idempotency keys of two methods never meet. */
  readonly method: string;
  /** The same for equal requests, over whichever transport they came. */
  request(): string;
  /** As the release before told them apart, where that was otherwise: for a day after an upgrade, its answers are there. */
  formerRequest?(): string;
  /** What is kept of an answer: no text, since it outlives the memory. */
  encode(answer: Answer): Uint8Array;
  decode(kept: Buffer): Answer | Promise<Answer>;
}

/** What a call does, begun anew on every attempt. */
export interface WriteOperation<Answer> {
  /** Absent: an idempotency key means nothing to it. */
  readonly repeatable?: Repeatable<Answer>;
  /** active: undefined where the tenant has nothing. An answer instead of a write ends the call. */
  prepare(active: ActiveGeneration | undefined): Promise<PreparedWrite<Answer> | { readonly answer: Answer; readonly isReplayed?: boolean }>;
}

export interface Written<Answer> {
  answer: Answer;
  /** Whether the answer is that of an earlier request with the same idempotency key. */
  isReplayed: boolean;
}

/** What every write goes through: known repetitions are answered again, conflicts tried again, the answer kept with the write. */
export class WritePath {
  readonly #inFlight = new Set<string>();
  /** Tenants as they were found last: whoever commits is told, under the tenant's lock, where that is no longer so. */
  readonly #remembered = new LRUCache<UserHash, ActiveGeneration>({ max: REMEMBERED_TENANTS });

  constructor(
    private readonly database: TenantDatabase,
    private readonly tenants: TenantStore,
    private readonly writes: TenantWrites,
    private readonly keys: TenantKeys,
    private readonly answers: IdempotencyStore,
  ) {}

  /**
   * @throws AppError already_exists for an idempotency key that another request has used, aborted while that request is in
   * flight or when its memories change faster than the write; whatever the operation throws
   */
  async write<Answer>(call: TenantCall, operation: WriteOperation<Answer>): Promise<Written<Answer>> {
    const key = keyOf(call, operation);
    if (key === undefined) return this.#tryAgain(call, operation);
    const name = JSON.stringify([call.tenant, key.method, key.idempotencyKey]);
    if (this.#inFlight.has(name)) {
      throw new AppError("aborted", "a request with this idempotency key is in flight: wait for its answer");
    }
    this.#inFlight.add(name);
    try {
      return await this.#tryAgain(call, operation);
    } finally {
      this.#inFlight.delete(name);
    }
  }

  async #tryAgain<Answer>(call: TenantCall, operation: WriteOperation<Answer>): Promise<Written<Answer>> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(call, operation);
      } catch (error) {
        // What is remembered of the tenant may be why: the next attempt, and the next call, look afresh.
        this.#remembered.delete(call.tenant);
        if (!(error instanceof WriteConflict || error instanceof KeysChangedError) || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  async #attempt<Answer>(call: TenantCall, operation: WriteOperation<Answer>): Promise<Written<Answer>> {
    const key = keyOf(call, operation);
    const begun = (await this.#beginAsRemembered(call, operation, key)) ?? (await this.#begin(call, operation, key, await this.#look(call)));
    if ("isReplayed" in begun) return begun;
    const { keys, chunks } = begun;
    const references = await keys.referenceKey();
    const keep = key && (await this.#answerKeeper(call, key, keys));
    const answer = await this.writes.run(call.tenant, {
      chunks,
      deadlineMs: call.deadlineMs,
      commit: async (tx, turn) => {
        // Sealed under keys that are no longer the tenant's.
        if (turn.epoch !== keys.epoch) throw new WriteConflict();
        const made = await begun.commit(tx, turn, references);
        await keep?.(tx, turn, made);
        return made;
      },
    });
    return { answer, isReplayed: false };
  }

  /** The tenant as it is now; undefined where it has nothing. */
  async #look(call: TenantCall): Promise<ActiveGeneration | undefined> {
    const { tenant } = call;
    const embedding = await this.tenants.readActiveGeneration(this.database.until(call), tenant);
    const active = embedding?.status === "active" ? embedding : undefined;
    // Without a model it may get one with any write.
    if (active === undefined || active.model === "") this.#remembered.delete(tenant);
    else this.#remembered.set(tenant, active);
    return active;
  }

  /** Undefined where nothing is remembered, and where it could matter that the tenant is another by now. */
  async #beginAsRemembered<Answer>(call: TenantCall, operation: WriteOperation<Answer>, key: RequestKey<Answer> | undefined): Promise<PreparedWrite<Answer> | undefined> {
    const remembered = this.#remembered.get(call.tenant);
    if (remembered === undefined) return undefined;
    try {
      const begun = await this.#begin(call, operation, key, remembered);
      return "commit" in begun ? begun : undefined;
    } catch {
      // Thrown again, if it is so, of the tenant as it is now.
      return undefined;
    }
  }

  async #begin<Answer>(
    call: TenantCall,
    operation: WriteOperation<Answer>,
    key: RequestKey<Answer> | undefined,
    active: ActiveGeneration | undefined,
  ): Promise<Written<Answer> | PreparedWrite<Answer>> {
    const kept = key && active && (await this.#keptAnswer(call, key, active.epoch));
    if (kept !== undefined) return { answer: kept, isReplayed: true };
    const prepared = await operation.prepare(active);
    return "answer" in prepared ? { isReplayed: false, ...prepared } : prepared;
  }

  /** @throws AppError already_exists where another request has used the idempotency key */
  async #keptAnswer<Answer>(call: TenantCall, key: RequestKey<Answer>, epoch: number): Promise<Answer | undefined> {
    const references = await (await this.keys.get(call.tenant, epoch)).referenceKey();
    const { keyRef, requestRef } = refsOf(key, references);
    const formerRef = () => key.formerRequest && references.reference("request", key.method, key.formerRequest());
    const record = await this.database.until(call).withTenant(call.tenant, (tx) => this.answers.read(tx, keyRef));
    if (record === undefined) return undefined;
    if (!record.requestRef.equals(requestRef) && formerRef()?.equals(record.requestRef) !== true) {
      throw new AppError("already_exists", "this idempotency key was used for another request: choose a new one");
    }
    const { keyring } = await this.keys.get(call.tenant, record.epoch);
    return key.decode(open(record.sealedResponse, keyring, placeOf(call, keyRef)));
  }

  /** Keeps the answer in the transaction of its write. */
  async #answerKeeper<Answer>(
    call: TenantCall,
    key: RequestKey<Answer>,
    { epoch }: TenantKeySet,
  ): Promise<(tx: TenantTransaction, turn: OpenTurn, answer: Answer) => Promise<void>> {
    const keys = await this.keys.forSealing(call.tenant, epoch, 1);
    if (keys.epoch !== epoch) throw new WriteConflict();
    const { keyRef, requestRef } = refsOf(key, await keys.referenceKey());
    return async (tx, turn, answer) => {
      const expiresAt = new Date(turn.at.getTime() + KEPT_ANSWER_MS);
      const sealedResponse = seal(key.encode(answer), keys.keyring, placeOf(call, keyRef));
      // The same request was answered meanwhile, by another process: its answer is this one's, too.
      if (!(await this.answers.add(tx, { keyRef, requestRef, sealedResponse, expiresAt }))) throw new WriteConflict();
      turn.dueBy(expiresAt);
    };
  }
}

/** A caller's idempotency key for a method that knows repetitions. */
type RequestKey<Answer> = Repeatable<Answer> & { readonly idempotencyKey: string };

function keyOf<Answer>({ idempotencyKey }: TenantCall, { repeatable }: WriteOperation<Answer>): RequestKey<Answer> | undefined {
  return idempotencyKey === undefined || repeatable === undefined ? undefined : { ...repeatable, idempotencyKey };
}

function refsOf(key: Pick<RequestKey<unknown>, "method" | "request" | "idempotencyKey">, references: ReferenceKey): { keyRef: Buffer; requestRef: Buffer } {
  return {
    keyRef: references.reference("idempotencyKey", key.method, key.idempotencyKey),
    requestRef: references.reference("request", key.method, key.request()),
  };
}

function placeOf({ tenant }: TenantCall, keyRef: Buffer): Place {
  return { tenant, rowId: keyRef.subarray(0, 16), field: FIELD.idempotentResponse, rowVersion: ANSWER_VERSION };
}
