import type { ReceiptSigner } from "@memseal/auth";
import { TenantKeys, type RootKeys } from "@memseal/keys";
import { AuditStore, ErasureStore, IdempotencyStore, MemoryStore, TenantKeyStore, TenantStore, type TenantDatabase } from "@memseal/storage";
import type { Logger } from "@memseal/telemetry";
import { DeleteMemories } from "./delete-memories.js";
import { EraseTenant } from "./erase-tenant.js";
import { ErasureReceipts } from "./erasure-receipts.js";
import { IntegrityFailures } from "./integrity-failures.js";
import { ListAudit } from "./list-audit.js";
import { ListCursors } from "./list-cursor.js";
import { NoteToken } from "./note-token.js";
import { PutMemories } from "./put-memories.js";
import { ReadMemories } from "./read-memories.js";
import { SearchMemories } from "./search-memories.js";
import { TenantCache, type TenantCacheOptions } from "./tenant-cache.js";
import { TenantWrites, type Quotas } from "./tenant-writes.js";
import { UpdateMemory } from "./update-memory.js";
import { WritePath } from "./write-path.js";

export interface IndexerSpec {
  readonly database: TenantDatabase;
  readonly roots: RootKeys;
  /** Absent: receipts of erasures are not signed. */
  readonly receiptSigner?: ReceiptSigner | undefined;
  readonly log: Logger;
  readonly quotas: Quotas;
  readonly cache: TenantCacheOptions;
  /** Told of each row that does not open, once. */
  readonly onIntegrityFailure: () => void;
  readonly onErased: ConstructorParameters<typeof EraseTenant>[6];
}

/** Everything that serves tenants' calls, put together. */
export interface Indexer {
  readonly put: PutMemories;
  readonly search: SearchMemories;
  readonly reads: ReadMemories;
  readonly update: UpdateMemory;
  readonly deletes: DeleteMemories;
  readonly audit: ListAudit;
  readonly erasure: EraseTenant;
  readonly receipts: ErasureReceipts;
  readonly tokens: NoteToken;
  readonly cache: TenantCache;
  readonly damage: IntegrityFailures;
}

export function assembleIndexer({ database, roots, receiptSigner, log, quotas, cache: cacheOptions, onIntegrityFailure, onErased }: IndexerSpec): Indexer {
  const [tenants, memories, events, answers] = [new TenantStore(), new MemoryStore(), new AuditStore(), new IdempotencyStore()];
  const keys = new TenantKeys(new TenantKeyStore(database), roots);
  const writes = new TenantWrites(database, { tenants, audit: events }, quotas);
  const path = new WritePath(database, tenants, writes, keys, answers);
  const damage = new IntegrityFailures(database, events, writes, keys, log, onIntegrityFailure);
  const cache = new TenantCache(database, { tenants, memories }, keys, damage, cacheOptions);
  const receipts = new ErasureReceipts(database, new ErasureStore(), roots, receiptSigner);
  const reads = new ReadMemories(database, memories, keys, cache, new ListCursors(database, tenants, keys), damage);
  return {
    put: new PutMemories(database, path, tenants, memories, keys),
    search: new SearchMemories(database, memories, cache, keys, damage),
    reads,
    update: new UpdateMemory(database, path, tenants, memories, keys, reads, damage),
    deletes: new DeleteMemories(database, path, tenants, memories, keys, cache),
    audit: new ListAudit(database, events),
    erasure: new EraseTenant(path, database, tenants, answers, keys, cache, onErased, receipts),
    receipts,
    tokens: new NoteToken(path, keys),
    cache,
    damage,
  };
}
