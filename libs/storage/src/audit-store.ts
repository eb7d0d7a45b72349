import type { TenantTransaction } from "./tenant-transaction.js";

/** An event of a tenant's audit chain. */
export interface AuditRow {
  /** From 1, without a gap. */
  n: number;
  at: Date;
  actorRef: Buffer;
  action: string;
  targetRef: Buffer | undefined;
  outcome: string;
  /** Over this event and the mac before it. */
  mac: Buffer;
}

/** A tenant's audit events: they are appended under the tenant's lock, and never changed. */
export class AuditStore {
  /** Number and mac of the newest event, which the next one continues. */
  async last(tx: TenantTransaction): Promise<Pick<AuditRow, "n" | "mac"> | undefined> {
    const { rows } = await tx.query<{ n: string; mac: Buffer }>("SELECT user_hash, n, mac FROM memseal.audit_event WHERE user_hash = $1 ORDER BY n DESC LIMIT 1", [tx.userHash]);
    const [row] = rows;
    return row && { n: Number(row.n), mac: row.mac };
  }

  async append(tx: TenantTransaction, events: readonly AuditRow[]): Promise<void> {
    await tx.query(
      `INSERT INTO memseal.audit_event (user_hash, n, at, actor_ref, action, target_ref, outcome, mac)
       SELECT $1, e.* FROM unnest($2::bigint[], $3::timestamptz[], $4::bytea[], $5::text[], $6::bytea[], $7::text[], $8::bytea[]) AS e`,
      [
        tx.userHash,
        events.map(({ n }) => n),
        events.map(({ at }) => at),
        events.map(({ actorRef }) => actorRef),
        events.map(({ action }) => action),
        events.map(({ targetRef }) => targetRef),
        events.map(({ outcome }) => outcome),
        events.map(({ mac }) => mac),
      ],
    );
  }

  /** Newest first, older than event number `before`. */
  async list(tx: TenantTransaction, { before, limit }: { before: number | undefined; limit: number }): Promise<AuditRow[]> {
    const { rows } = await tx.query<{ n: string; at: Date; actor_ref: Buffer; action: string; target_ref: Buffer | null; outcome: string; mac: Buffer }>(
      `SELECT user_hash, n, at, actor_ref, action, target_ref, outcome, mac FROM memseal.audit_event
       WHERE user_hash = $1 AND n < $2 ORDER BY n DESC LIMIT $3`,
      [tx.userHash, before ?? Number.MAX_SAFE_INTEGER, limit],
    );
    return rows.map((row) => ({
      n: Number(row.n), at: row.at, actorRef: row.actor_ref, action: row.action, targetRef: row.target_ref ?? undefined, outcome: row.outcome, mac: row.mac,
    }));
  }

  /** Which of the targets have an event of this action. */
  async targetsOf(tx: TenantTransaction, action: string, targetRefs: readonly Buffer[]): Promise<Buffer[]> {
    const { rows } = await tx.query<{ target_ref: Buffer }>(
      "SELECT DISTINCT user_hash, target_ref FROM memseal.audit_event WHERE user_hash = $1 AND action = $2 AND target_ref = ANY ($3::bytea[])",
      [tx.userHash, action, targetRefs],
    );
    return rows.map((row) => row.target_ref);
  }
}
