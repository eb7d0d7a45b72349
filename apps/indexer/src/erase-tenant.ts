import { toTimestamp, type ErasureReceipt } from "@memseal/contracts/indexer";
import { NotFoundError } from "@memseal/errors";
import type { TenantKeys } from "@memseal/keys";
import type { TenantStore } from "@memseal/storage";
import { auditEvent } from "./audit-trail.js";
import type { TenantCall } from "./call.js";
import type { TenantCache } from "./tenant-cache.js";
import type { WritePath } from "./write-path.js";

/** Destroys a tenant's keys: from the commit on, no running system opens a row of it. */
export class EraseTenant {
  /** onErased: told at once, so that the rows go soon, too. */
  constructor(
    private readonly path: WritePath,
    private readonly tenants: TenantStore,
    private readonly keys: TenantKeys,
    private readonly cache: TenantCache,
    private readonly onErased: (tenant: TenantCall["tenant"]) => void,
  ) {}

  /** @throws NotFoundError where nothing is stored of the tenant, or nothing any more */
  async erase(call: TenantCall): Promise<ErasureReceipt> {
    const { answer } = await this.path.write<ErasureReceipt>(call, {
      prepare: async (active) => {
        if (active === undefined) throw new NotFoundError("user");
        return {
          keys: await this.keys.get(call.tenant, active.epoch),
          // Alone: whoever wrote with it would write into nothing.
          chunks: Infinity,
          commit: async (tx, turn, references) => {
            const rootKeyIds = await this.tenants.destroyKeys(tx);
            turn.audit(auditEvent(references, { actor: call.actor, action: "erase", targets: [] }), references);
            return { erasedAt: toTimestamp(turn.at), rootKeyId: rootKeyIds.join(","), signed: "" };
          },
        };
      },
    });
    this.cache.drop(call.tenant);
    this.onErased(call.tenant);
    return answer;
  }
}
