import type { UserHash } from "@memseal/crypto";
import { OverloadedError } from "@memseal/errors";
import type { TenantDatabase, TenantTransaction } from "@memseal/storage";

/** Writes of one tenant that may wait in this process; more are refused at once. */
const MAX_WAITING = 256;

/**
 * Write transactions, one a tenant at a time: they would wait for the tenant's row lock anyhow, and here they wait
 * without a connection each, so that one busy tenant leaves the others theirs.
 */
export class TenantWrites {
  readonly #queues = new Map<UserHash, { tail: Promise<unknown>; waiting: number }>();

  constructor(private readonly database: TenantDatabase) {}

  /** @throws OverloadedError when too many of this tenant's writes wait already */
  async run<T>(tenant: UserHash, work: (tx: TenantTransaction) => Promise<T>): Promise<T> {
    const queue = this.#queues.get(tenant) ?? { tail: Promise.resolve(), waiting: 0 };
    if (queue.waiting >= MAX_WAITING) throw new OverloadedError("too many writes of this user are waiting; try again");
    const turn = queue.tail.then(() => this.database.withTenant(tenant, work));
    queue.waiting++;
    // The next in line waits for the end of this one, not for its success.
    queue.tail = turn.catch(() => undefined);
    this.#queues.set(tenant, queue);
    try {
      return await turn;
    } finally {
      queue.waiting--;
      if (queue.waiting === 0) this.#queues.delete(tenant);
    }
  }
}
