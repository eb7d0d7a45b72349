import type { ReceiptSigner } from "@memseal/auth";
import { toTimestamp, type ErasureReceipt } from "@memseal/contracts/indexer";
import type { UserHash } from "@memseal/crypto";
import { NotFoundError } from "@memseal/errors";
import type { RootKeys } from "@memseal/keys";
import type { CallEnd, Erasure, ErasureStore, NewErasure, TenantDatabase, TenantTransaction } from "@memseal/storage";

/** What was erased, and what is known by now of when backups end. Needs no key of the tenant. */
export class ErasureReceipts {
  /** signer: absent where receipts are not signed. */
  constructor(
    private readonly database: TenantDatabase,
    private readonly store: ErasureStore,
    private readonly roots: RootKeys,
    private readonly signer: ReceiptSigner | undefined,
  ) {}

  /** In the transaction of the erasure. */
  async record(tx: TenantTransaction, erasure: NewErasure): Promise<ErasureReceipt> {
    await this.store.add(tx, erasure);
    return this.#read(tx, erasure.id);
  }

  /** end: of the call. @throws NotFoundError where the tenant has none of this id */
  get(tenant: UserHash, id: string, end?: CallEnd): Promise<ErasureReceipt> {
    return this.database.until(end).withTenant(tenant, (tx) => this.#read(tx, id));
  }

  async #read(tx: TenantTransaction, id: string): Promise<ErasureReceipt> {
    const erasure = await this.store.read(tx, id);
    if (erasure === undefined) throw new NotFoundError("erasure");
    const rootKeys = erasure.rootKeys.map((root) => this.#known(root));
    const dates = rootKeys.flatMap(({ destroyedAt }) => destroyedAt ?? []).sort((a, b) => a.getTime() - b.getTime());
    const unreadableAt = dates.length === rootKeys.length ? dates.at(-1) : undefined;
    const { erasedAt, memories, bytes } = erasure;
    const signed = await this.signer?.sign({
      id, tenant: tx.tenant, erasedAt: erasedAt.toISOString(), memories, bytes, backupsUnreadableAt: unreadableAt?.toISOString(),
      rootKeys: rootKeys.map((root) => ({ ...root, destroyedAt: root.destroyedAt?.toISOString() })),
    });
    return {
      id,
      erasedAt: toTimestamp(erasedAt),
      backupsUnreadableAt: unreadableAt && toTimestamp(unreadableAt),
      memories,
      bytes: BigInt(bytes),
      rootKeyId: rootKeys.map((root) => root.id).join(","),
      rootKeys: rootKeys.map((root) => ({ ...root, destroyedAt: root.destroyedAt && toTimestamp(root.destroyedAt) })),
      signed: signed ?? "",
    };
  }

  /** A version that is held here is not destroyed, whatever the database says. */
  #known({ id, version, destroyedAt }: Erasure["rootKeys"][number]): Erasure["rootKeys"][number] {
    const held = this.roots.versionOf(id);
    return { id, version: version ?? held, destroyedAt: held === undefined ? destroyedAt : undefined };
  }
}
