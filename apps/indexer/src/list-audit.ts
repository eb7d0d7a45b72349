import { toTimestamp, type AuditEvent, type Page } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { InvalidArgumentError } from "@memseal/errors";
import type { AuditRow, AuditStore, CallEnd, TenantDatabase } from "@memseal/storage";

export interface AuditPage {
  events: AuditEvent[];
  nextCursor: string | undefined;
}

/** What was done to a tenant's memories. Needs no key: it is still there after an erasure. */
export class ListAudit {
  constructor(
    private readonly database: TenantDatabase,
    private readonly store: AuditStore,
  ) {}

  /** Newest first. end: of the call. @throws InvalidArgumentError for a cursor that is not from here */
  async list(tenant: UserHash, { limit, cursor }: Page, end?: CallEnd): Promise<AuditPage> {
    const before = cursor === undefined ? undefined : decode(cursor);
    const rows = await this.database.until(end).withTenant(tenant, (tx) => this.store.list(tx, { before, limit: limit + 1 }));
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return { events: page.map(toMessage), nextCursor: rows.length > limit && last !== undefined ? encode(last.n) : undefined };
  }
}

function toMessage({ n, at, actorRef, action, targetRef, outcome, mac }: AuditRow): AuditEvent {
  return { n: BigInt(n), at: toTimestamp(at), actor: actorRef, action, target: targetRef, outcome, mac };
}

/** Event numbers are no secret: the caller sees them. */
function encode(n: number): string {
  return Buffer.from(`audit ${n}`).toString("base64url");
}

function decode(cursor: string): number {
  const [, n] = /^audit ([1-9]\d{0,15})$/.exec(Buffer.from(cursor, "base64url").toString()) ?? [];
  if (n === undefined || encode(Number(n)) !== cursor) throw new InvalidArgumentError("cursor", "must be the next_cursor of an earlier page");
  return Number(n);
}
