import type { ReferenceKey, UserHash } from "@memseal/crypto";
import { AppError, DeadlineExceededError, OverloadedError, OverQuotaError } from "@memseal/errors";
import type { AuditRow, AuditStore, TenantDatabase, TenantStore, TenantTransaction, WriteTurn } from "@memseal/storage";
import { LRUCache } from "lru-cache";
import { chainEvents, type AuditEvent } from "./audit-trail.js";

/** Writes of one tenant that may wait in this process; more are refused at once. */
const MAX_WAITING = 256;
/** What one commit may hold: as much as the largest call. */
const CHUNKS_PER_COMMIT = 200;
const REMEMBERED_TENANTS = 10_000;

/** The tenant or its rows changed between the reading and the writing: read again and try again. */
export class WriteConflict extends AppError {
  constructor() {
    super("aborted", "this user's memories change faster than this write; try again");
  }
}

/** What a tenant may keep. */
export interface Quotas {
  memories: number;
  bytes: number;
}

/** What the next event of a chain continues. */
type ChainEnd = Pick<AuditRow, "n" | "mac">;

/** The tenant's turn while writes run in it: what they change about the tenant as a whole is settled once, at the end. */
export class OpenTurn implements WriteTurn {
  readonly seq: number;
  readonly epoch: number;
  readonly generation: number;
  readonly at: Date;
  #memoryCount: number;
  #byteCount: number;
  #dueAt: Date | undefined;
  #events: readonly AuditEvent[] = [];
  #references: ReferenceKey | undefined;

  constructor(private readonly taken: WriteTurn, private readonly quotas: Quotas) {
    this.seq = taken.seq;
    this.epoch = taken.epoch;
    this.generation = taken.generation;
    this.at = taken.at;
    this.#memoryCount = taken.memoryCount;
    this.#byteCount = taken.byteCount;
  }

  get memoryCount(): number {
    return this.#memoryCount;
  }

  get byteCount(): number {
    return this.#byteCount;
  }

  /** What a write adds to the tenant, or takes away. @throws OverQuotaError */
  add({ memories, bytes }: { memories: number; bytes: number }): void {
    this.#memoryCount += memories;
    this.#byteCount += bytes;
    if (memories > 0 && this.#memoryCount > this.quotas.memories) {
      throw new OverQuotaError(`this user may keep at most ${this.quotas.memories} memories: delete some first`);
    }
    if (bytes > 0 && this.#byteCount > this.quotas.bytes) {
      throw new OverQuotaError(`this user's memories may take at most ${this.quotas.bytes} bytes, sealed: delete some first`);
    }
  }

  /** Has maintenance look at the tenant then. */
  dueBy(at: Date | undefined): void {
    if (at !== undefined && (this.#dueAt === undefined || at < this.#dueAt)) this.#dueAt = at;
  }

  audit(event: AuditEvent, references: ReferenceKey): void {
    this.#events = [...this.#events, event];
    this.#references = references;
  }

  /** Remembers what was settled so far; the function it returns goes back to that. */
  mark(): () => void {
    const [memoryCount, byteCount, dueAt, events] = [this.#memoryCount, this.#byteCount, this.#dueAt, this.#events];
    return () => {
      this.#memoryCount = memoryCount;
      this.#byteCount = byteCount;
      this.#dueAt = dueAt;
      this.#events = events;
    };
  }

  /** last: the tenant's newest event, where it is known. Returns the newest one there is now. */
  async settle(tx: TenantTransaction, { tenants, audit }: { tenants: TenantStore; audit: AuditStore }, last: ChainEnd | undefined): Promise<ChainEnd | undefined> {
    const { memoryCount, byteCount } = this.taken;
    await tenants.settleTurn(tx, { memories: this.#memoryCount - memoryCount, bytes: this.#byteCount - byteCount, dueAt: this.#dueAt });
    if (this.#references === undefined || this.#events.length === 0) return last;
    const rows = chainEvents(last ?? (await audit.last(tx)), this.#events, { at: this.at, references: this.#references });
    await audit.append(tx, rows);
    return rows.at(-1);
  }
}

/** A change of one tenant, with everything slow behind it. */
export interface TenantWrite<T> {
  /** How many chunks it stores; Infinity for what commits alone. */
  readonly chunks: number;
  /** Unix time in milliseconds after which it is not begun. */
  readonly deadlineMs: number;
  /** Runs under the tenant's row lock. What it throws undoes it alone. */
  commit(tx: TenantTransaction, turn: OpenTurn): Promise<T>;
}

interface Waiting {
  readonly write: TenantWrite<unknown>;
  /** Runs it; afterwards its outcome is known, if only it is committed. */
  run(tx: TenantTransaction, turn: OpenTurn): Promise<void>;
  resolve(): void;
  reject(reason: unknown): void;
}

/** Nothing is left to commit: the turn is not taken. */
class NothingToCommit extends Error {}

/**
 * Write transactions, one a tenant at a time: they would wait for the tenant's row lock anyhow, and here they wait without
 * a connection each, so that one busy tenant leaves the others theirs. Those that wait together commit together. The turn has the
 * tenant's next connection: its reads, however many, never keep it from writing.
 */
export class TenantWrites {
  readonly #queues = new Map<UserHash, Waiting[]>();
  /** Of each tenant the end of its audit chain after a turn of this process: still that where the next turn is this process's, too. */
  readonly #chainEnds = new LRUCache<UserHash, { readonly seq: number; readonly end: ChainEnd }>({ max: REMEMBERED_TENANTS });

  constructor(
    private readonly database: TenantDatabase,
    private readonly stores: { tenants: TenantStore; audit: AuditStore },
    private readonly quotas: Quotas,
  ) {}

  /**
   * @throws OverloadedError when too many of this tenant's writes wait already; DeadlineExceededError when its deadline
   * passes while it waits; WriteConflict when the tenant is not active
   */
  run<T>(tenant: UserHash, write: TenantWrite<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(tenant);
      if (queue !== undefined && queue.length >= MAX_WAITING) {
        reject(new OverloadedError("too many writes of this user are waiting; try again"));
        return;
      }
      let done: T;
      const waiting: Waiting = {
        write,
        run: async (tx, turn) => { done = await write.commit(tx, turn); },
        resolve: () => { resolve(done); },
        reject,
      };
      if (queue !== undefined) queue.push(waiting);
      else void this.#drain(tenant, [waiting]);
    });
  }

  async #drain(tenant: UserHash, queue: Waiting[]): Promise<void> {
    this.#queues.set(tenant, queue);
    while (queue.length > 0) await this.#commit(tenant, nextGroup(queue));
    this.#queues.delete(tenant);
  }

  /** Ends every write of the group, one way or the other. */
  async #commit(tenant: UserHash, group: readonly Waiting[]): Promise<void> {
    const outcomes = new Map<Waiting, () => void>();
    const late = group.filter(({ write }) => write.deadlineMs <= Date.now());
    for (const waiting of late) outcomes.set(waiting, () => { waiting.reject(new DeadlineExceededError()); });
    const inTime = group.filter((waiting) => !late.includes(waiting));
    try {
      if (inTime.length > 0) {
        const settled = await this.database.withTenant(tenant, (tx) => this.#runAll(tx, inTime, outcomes), { goesFirst: true });
        if (settled.end !== undefined) this.#chainEnds.set(tenant, { seq: settled.seq, end: settled.end });
      }
    } catch (error) {
      // Nothing was committed. Unless every write had failed by itself, that is the outcome of all.
      if (!(error instanceof NothingToCommit)) for (const waiting of inTime) outcomes.set(waiting, () => { waiting.reject(error); });
    }
    for (const end of outcomes.values()) end();
  }

  async #runAll(tx: TenantTransaction, group: readonly Waiting[], outcomes: Map<Waiting, () => void>): Promise<{ seq: number; end: ChainEnd | undefined }> {
    const taken = await this.stores.tenants.takeTurn(tx);
    if (taken === undefined) throw new WriteConflict();
    const turn = new OpenTurn(taken, this.quotas);
    let succeeded = 0;
    for (const waiting of group) {
      const goBack = turn.mark();
      // One alone needs no savepoint: where it fails, nothing is left.
      if (group.length > 1) await tx.query("SAVEPOINT one_write");
      try {
        await waiting.run(tx, turn);
        outcomes.set(waiting, () => { waiting.resolve(); });
        succeeded++;
      } catch (error) {
        outcomes.set(waiting, () => { waiting.reject(error); });
        if (group.length > 1) await tx.query("ROLLBACK TO SAVEPOINT one_write");
        goBack();
      }
    }
    if (succeeded === 0) throw new NothingToCommit();
    const known = this.#chainEnds.get(tx.tenant);
    const end = await turn.settle(tx, this.stores, known?.seq === taken.seq - 1 ? known.end : undefined);
    return { seq: taken.seq, end };
  }
}

/** Takes from the queue what fits in one commit, at least one. */
function nextGroup(queue: Waiting[]): Waiting[] {
  let chunks = 0;
  let count = 0;
  for (const { write } of queue) {
    chunks += write.chunks;
    if (count > 0 && chunks > CHUNKS_PER_COMMIT) break;
    count++;
  }
  return queue.splice(0, count);
}
