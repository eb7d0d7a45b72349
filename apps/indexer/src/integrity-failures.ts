import type { UserHash } from "@memseal/crypto";
import type { TenantKeys } from "@memseal/keys";
import type { AuditStore, TenantDatabase } from "@memseal/storage";
import type { Logger } from "@memseal/telemetry";
import { LRUCache } from "lru-cache";
import { auditEvent } from "./audit-trail.js";
import type { TenantWrites } from "./tenant-writes.js";

const ACTOR = "indexer";
const ACTION = "integrity_failure";
const AUDIT_WITHIN_MS = 30_000;
const REMEMBERED_ROWS = 100_000;

/** A version of a memory that does not open although its row is there, unchanged by anybody who has the keys. */
export interface DamagedRow {
  readonly id: string;
  readonly rowVersion: number;
}

/** Has each damaged row audited, counted and logged once, whichever process meets it first, and however often. */
export class IntegrityFailures {
  readonly #running = new Set<Promise<void>>();
  /** Audited already: whoever searches meets them again and again. */
  readonly #known = new LRUCache<string, true>({ max: REMEMBERED_ROWS });

  constructor(
    private readonly database: TenantDatabase,
    private readonly audit: AuditStore,
    private readonly writes: TenantWrites,
    private readonly keys: TenantKeys,
    private readonly log: Logger,
    private readonly count: () => void,
  ) {}

  /** Returns at once: whoever met the row answers without waiting for this. epoch: of the rows. */
  report(tenant: UserHash, epoch: number, rows: readonly DamagedRow[]): void {
    const nameOf = ({ id, rowVersion }: DamagedRow): string => `${tenant} ${id} ${rowVersion}`;
    const unknown = rows.filter((row) => !this.#known.has(nameOf(row)));
    if (unknown.length === 0) return;
    const running = this.#report(tenant, epoch, unknown)
      .then(() => { for (const row of unknown) this.#known.set(nameOf(row), true); })
      .catch((error: unknown) => { this.log.error("integrity failure not audited", { error }); })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits for what was reported. */
  async flush(): Promise<void> {
    await Promise.all(this.#running);
  }

  async #report(tenant: UserHash, epoch: number, rows: readonly DamagedRow[]): Promise<void> {
    const references = await (await this.keys.get(tenant, epoch)).referenceKey();
    const events = rows.map(({ id, rowVersion }) => auditEvent(references, { actor: ACTOR, action: ACTION, targets: [id, String(rowVersion)] }));
    const targets = events.map(({ targetRef }) => targetRef).filter((ref) => ref !== undefined);
    const isKnown = async (): Promise<Set<string>> => {
      const known = await this.database.withTenant(tenant, (tx) => this.audit.targetsOf(tx, ACTION, targets));
      return new Set(known.map((ref) => ref.toString("hex")));
    };
    // Known ones cost a look, not a write.
    if ((await isKnown()).size === events.length) return;
    const fresh = await this.writes.run(tenant, {
      chunks: 0,
      deadlineMs: Date.now() + AUDIT_WITHIN_MS,
      commit: async (tx, turn) => {
        const known = new Set((await this.audit.targetsOf(tx, ACTION, targets)).map((ref) => ref.toString("hex")));
        const unknown = events.filter(({ targetRef }) => !known.has(targetRef?.toString("hex") ?? ""));
        for (const event of unknown) turn.audit(event, references);
        return unknown.length;
      },
    });
    for (let i = 0; i < fresh; i++) this.count();
    if (fresh > 0) this.log.error("sealed rows do not open", { count: fresh });
  }
}
