import type { UserHash } from "@memseal/crypto";
import { MaintenanceStore, MemoryStore, TenantStore, type DueTenants, type TenantDatabase, type TenantTransaction } from "@memseal/storage";
import type { Logger, Metrics } from "@memseal/telemetry";

/** What expires is gone from every table well within the minute that is promised. */
const INTERVAL_MS = 5_000;
const TENANTS_PER_LOOK = 1_000;
/** Rows of a kind that one transaction takes away: it holds the tenant's row lock for some milliseconds. */
const ROWS_PER_STEP = 500;

export interface MaintenanceSpec {
  readonly database: TenantDatabase;
  readonly due: DueTenants;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly intervalMs?: number;
  readonly rowsPerStep?: number;
}

interface Step {
  /** Rows that went, by kind. */
  readonly removed: Readonly<Partial<Record<"expired" | "tombstones" | "answers" | "versions" | "erased", number>>>;
  readonly isMore: boolean;
}

/**
 * Takes away what is past its time: expired memories, old tombstones, kept answers and versions, the rows of erased tenants.
 * Any number of processes may run it; none opens a row.
 */
export class Maintenance {
  readonly #store = new MaintenanceStore();
  readonly #memories = new MemoryStore();
  readonly #tenants = new TenantStore();
  readonly #urgent = new Set<UserHash>();
  #running: Promise<void> | undefined;
  #isStopping = false;
  #wake: () => void = () => undefined;

  readonly #removed;

  constructor(private readonly spec: MaintenanceSpec) {
    this.#removed = spec.metrics.counter("memseal_maintenance_removed_total", {});
  }

  start(): void {
    this.#running = this.#loop();
  }

  /** Has a tenant seen to at once. */
  kick(tenant: UserHash): void {
    this.#urgent.add(tenant);
    this.#wake();
  }

  /** Waits for the step in flight. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#wake();
    await this.#running;
  }

  /** Sees to every tenant that is due now. */
  async run(): Promise<void> {
    for (let isMore = true; isMore && !this.#isStopping; ) {
      const due = await this.spec.due.list(TENANTS_PER_LOOK);
      const failures: unknown[] = [];
      for (const tenant of new Set([...this.#urgent, ...due])) {
        this.#urgent.delete(tenant);
        // One tenant's trouble is no other's.
        await this.#seeTo(tenant).catch((error: unknown) => failures.push(error));
        if (this.#isStopping) return;
      }
      if (failures.length > 0) this.spec.log.error("maintenance failed", { count: failures.length, error: failures[0] });
      isMore = due.length === TENANTS_PER_LOOK && failures.length === 0;
    }
  }

  async #loop(): Promise<void> {
    while (!this.#isStopping) {
      await this.run().catch((error: unknown) => { this.spec.log.error("maintenance failed", { count: 0, error }); });
      if (this.#urgent.size === 0 && !this.#isStopping) await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.spec.intervalMs ?? INTERVAL_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #seeTo(tenant: UserHash): Promise<void> {
    for (let isMore = true; isMore && !this.#isStopping; ) {
      const step = await this.spec.database.withTenant(tenant, (tx) => this.#step(tx), { goesFirst: true });
      for (const [kind, count] of Object.entries(step.removed)) this.#removed.inc({ kind }, count);
      isMore = step.isMore;
    }
  }

  /** One transaction's worth. */
  async #step(tx: TenantTransaction): Promise<Step> {
    const status = await this.#store.claim(tx);
    if (status === "erasing") return this.#erase(tx);
    // Of an erased one nothing is left but, for a day, a receipt.
    if (status === undefined) return { removed: {}, isMore: false };
    const limit = this.spec.rowsPerStep ?? ROWS_PER_STEP;
    const expired = await this.#expire(tx, limit);
    const tombstones = await this.#store.purgeTombstones(tx, limit);
    const answers = await this.#store.purgeAnswers(tx, limit);
    const { versions, bytes } = await this.#store.trimHistory(tx, limit);
    if (bytes > 0) await this.#tenants.settleTurn(tx, { memories: 0, bytes: -bytes });
    const isMore = [expired, tombstones, answers, versions].some((count) => count >= limit);
    // As long as there is more, the tenant stays due: also for another process, should this one end here.
    if (!isMore) await this.#store.setNextDue(tx);
    return { removed: { expired, tombstones, answers, versions }, isMore };
  }

  /** As a deletion, so that every index learns of it. */
  async #expire(tx: TenantTransaction, limit: number): Promise<number> {
    const ids = await this.#store.expiredIds(tx, limit);
    if (ids.length === 0) return 0;
    const turn = await this.#tenants.takeTurn(tx);
    if (turn === undefined) return 0;
    const gone = await this.#memories.deleteMemories(tx, turn, ids);
    await this.#tenants.settleTurn(tx, { memories: -gone.memories, bytes: -gone.bytes });
    return gone.memories;
  }

  async #erase(tx: TenantTransaction): Promise<Step> {
    const erased = await this.#store.purgeErased(tx, this.spec.rowsPerStep ?? ROWS_PER_STEP);
    if (erased === 0) await this.#store.endErasure(tx);
    return { removed: { erased }, isMore: erased > 0 };
  }
}
