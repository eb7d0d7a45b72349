import type { TenantKeys } from "@memseal/keys";
import { auditEvent } from "./audit-trail.js";
import type { TenantCall } from "./call.js";
import type { WritePath } from "./write-path.js";

/** Writes into a tenant's audit trail that a delegate key is given a token of it. */
export class NoteToken {
  constructor(
    private readonly path: WritePath,
    private readonly keys: TenantKeys,
  ) {}

  /** A user who has nothing, or nothing any more, has no chain to add to: there is nothing to read, and what is written names the key. */
  async note(call: TenantCall): Promise<void> {
    await this.path.write<undefined>(call, {
      prepare: async (active) => active === undefined ? { answer: undefined } : {
        keys: await this.keys.get(call.tenant, active.epoch),
        chunks: 0,
        commit: (_tx, turn, references) => {
          turn.audit(auditEvent(references, { actor: call.actor, action: "token", targets: [] }), references);
          return Promise.resolve(undefined);
        },
      },
    });
  }
}
