import type { TenantTransaction } from "./tenant-transaction.js";

/** Stands for the request of an erasure, which says nothing but whose it is. Its receipt outlives the keys and the other rows of the tenant. */
export const ERASURE_REF: Buffer = Buffer.alloc(32);

/** What was answered to a request that carried an idempotency key. */
export interface IdempotencyRecord {
  keyRef: Buffer;
  requestRef: Buffer;
  sealedResponse: Buffer;
  expiresAt: Date;
}

/** Answers that are given again to the same request. */
export class IdempotencyStore {
  /** The record of a key, unless it has expired. epoch: the tenant's in the same moment. */
  async read(tx: TenantTransaction, keyRef: Buffer): Promise<(Pick<IdempotencyRecord, "requestRef" | "sealedResponse"> & { epoch: number }) | undefined> {
    const { rows } = await tx.query<{ request_ref: Buffer; sealed_response: Buffer; epoch: number }>(
      `SELECT user_hash, request_ref, sealed_response, (SELECT epoch FROM memseal.tenant WHERE user_hash = $1) AS epoch
       FROM memseal.idempotency WHERE user_hash = $1 AND key_ref = $2 AND expires_at > now()`,
      [tx.userHash, keyRef],
    );
    const [row] = rows;
    return row && { requestRef: row.request_ref, sealedResponse: row.sealed_response, epoch: row.epoch };
  }

  /** Keeps the answer with the write it is of; false where another request has been answered under this key. Under the tenant's lock. */
  async add(tx: TenantTransaction, { keyRef, requestRef, sealedResponse, expiresAt }: IdempotencyRecord): Promise<boolean> {
    await tx.query("DELETE FROM memseal.idempotency WHERE user_hash = $1 AND key_ref = $2 AND expires_at <= now()", [tx.userHash, keyRef]);
    const added = await tx.query(
      `INSERT INTO memseal.idempotency (user_hash, key_ref, request_ref, sealed_response, expires_at) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (user_hash, key_ref) DO NOTHING`,
      [tx.userHash, keyRef, requestRef, sealedResponse, expiresAt],
    );
    return added.rowCount === 1;
  }
}
