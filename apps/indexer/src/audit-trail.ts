import type { ReferenceKey } from "@memseal/crypto";
import type { AuditRow } from "@memseal/storage";

export type AuditAction = "add" | "update" | "delete" | "erase" | "token" | "integrity_failure";

/** What is to be remembered of an action: who and on what as blind references. */
export type AuditEvent = Pick<AuditRow, "actorRef" | "action" | "targetRef" | "outcome">;

/** targets: ids, or whatever else names what was acted on; none where it was everything. */
export function auditEvent(references: ReferenceKey, { actor, action, targets }: { actor: string; action: AuditAction; targets: readonly string[] }): AuditEvent {
  return {
    actorRef: references.reference("actor", actor),
    action,
    targetRef: targets.length === 0 ? undefined : references.reference("target", ...targets),
    outcome: "ok",
  };
}

/**
 * The events as the next rows of a tenant's chain: each mac is over the event and the mac before it, so that none can be
 * altered, left out or put between without the reference key.
 */
export function chainEvents(last: Pick<AuditRow, "n" | "mac"> | undefined, events: readonly AuditEvent[], { at, references }: { at: Date; references: ReferenceKey }): AuditRow[] {
  let { n, mac } = last ?? { n: 0, mac: Buffer.alloc(0) };
  return events.map((event) => {
    n += 1;
    const { actorRef, action, targetRef = Buffer.alloc(0), outcome } = event;
    mac = references.reference("auditChain", mac, String(n), at.toISOString(), actorRef, action, targetRef, outcome);
    return { ...event, n, at, mac };
  });
}
