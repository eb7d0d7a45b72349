import { createHash } from "node:crypto";
import { ErasureReceipt } from "@memseal/contracts/indexer";
import { NotFoundError } from "@memseal/errors";
import type { TenantKeys } from "@memseal/keys";
import { ERASURE_REF, type IdempotencyStore, type TenantDatabase, type TenantStore, type TenantTransaction } from "@memseal/storage";
import { v7 as uuidV7 } from "uuid";
import { auditEvent } from "./audit-trail.js";
import type { TenantCall } from "./call.js";
import type { ErasureReceipts } from "./erasure-receipts.js";
import type { TenantCache } from "./tenant-cache.js";
import { WriteConflict, type OpenTurn } from "./tenant-writes.js";
import { KEPT_ANSWER_MS, type WritePath, type Written } from "./write-path.js";

/** Destroys a tenant's keys: from the commit on, no running system opens a row of it. */
export class EraseTenant {
  /** onErased: told at once, so that the rows go soon, too. */
  constructor(
    private readonly path: WritePath,
    private readonly database: TenantDatabase,
    private readonly tenants: TenantStore,
    private readonly answers: IdempotencyStore,
    private readonly keys: TenantKeys,
    private readonly cache: TenantCache,
    private readonly onErased: (tenant: TenantCall["tenant"]) => void,
    private readonly receipts: ErasureReceipts,
  ) {}

  /**
   * A repetition is answered with the first one's receipt and erases nothing of what was stored since.
   * @throws NotFoundError where nothing is stored of the tenant, or nothing any more
   */
  async erase(call: TenantCall): Promise<Written<ErasureReceipt>> {
    const keyRef = call.idempotencyKey === undefined ? undefined : keyRefOf(call.idempotencyKey);
    const written = await this.path.write<ErasureReceipt>(call, {
      prepare: async (active) => {
        const kept = keyRef && (await this.#kept(call, keyRef));
        if (kept !== undefined) return { answer: kept, isReplayed: true };
        if (active === undefined) throw new NotFoundError("user");
        return {
          keys: await this.keys.get(call.tenant, active.epoch),
          // Alone: whoever wrote with it would write into nothing.
          chunks: Infinity,
          commit: async (tx, turn, references) => {
            const rootKeyIds = await this.tenants.destroyKeys(tx);
            turn.audit(auditEvent(references, { actor: call.actor, action: "erase", targets: [] }), references);
            const receipt = await this.receipts.record(tx, { id: uuidV7(), erasedAt: turn.at, memories: turn.memoryCount, bytes: turn.byteCount, rootKeyIds });
            if (keyRef !== undefined) await this.#keep(tx, turn, keyRef, receipt);
            return receipt;
          },
        };
      },
    });
    if (!written.isReplayed) {
      this.cache.drop(call.tenant);
      this.onErased(call.tenant);
    }
    return written;
  }

  async #kept(call: TenantCall, keyRef: Buffer): Promise<ErasureReceipt | undefined> {
    const record = await this.database.until(call).withTenant(call.tenant, (tx) => this.answers.read(tx, keyRef));
    return record && ErasureReceipt.decode(record.sealedResponse);
  }

  /** Not sealed, since no key is left to seal it under: it names nothing of the user, and its time is in the audit trail, too. */
  async #keep(tx: TenantTransaction, turn: OpenTurn, keyRef: Buffer, receipt: ErasureReceipt): Promise<void> {
    const sealedResponse = Buffer.from(ErasureReceipt.encode(receipt).finish());
    const isFirst = await this.answers.add(tx, { keyRef, requestRef: ERASURE_REF, sealedResponse, expiresAt: new Date(turn.at.getTime() + KEPT_ANSWER_MS) });
    // Erased under this key, and begun anew, since it was looked up.
    if (!isFirst) throw new WriteConflict();
  }
}

/** Of a name that the gateway has made blind already, since the tenant's own reference key goes with the erasure. */
function keyRefOf(idempotencyKey: string): Buffer {
  return createHash("sha256").update(`erase\0${idempotencyKey}`).digest();
}
