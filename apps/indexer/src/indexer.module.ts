import { AssertionVerifier, ReceiptSigner } from "@memseal/auth";
import { FileRootKeys } from "@memseal/keys";
import { ApiKeyLookup, assertSafeRole, assertSchema, ConnectionShares, createPool, DueTenants, isReachable, TenantDatabase } from "@memseal/storage";
import { crossTenantCounters, type Logger, type Metrics } from "@memseal/telemetry";
import { GrpcErrorFilter, TenantGuard } from "@memseal/transport";
import { Module, type DynamicModule, type OnApplicationShutdown } from "@nestjs/common";
import { APP_FILTER, APP_GUARD } from "@nestjs/core";
import { assembleIndexer } from "./assemble-indexer.js";
import type { IndexerConfig } from "./config.js";
import { DeleteMemories } from "./delete-memories.js";
import { EraseTenant } from "./erase-tenant.js";
import { ErasureReceipts } from "./erasure-receipts.js";
import { IndexerGrpc } from "./indexer.grpc.js";
import { ListAudit } from "./list-audit.js";
import { Maintenance } from "./maintenance.js";
import { NoteToken } from "./note-token.js";
import { PutMemories } from "./put-memories.js";
import { ReadMemories } from "./read-memories.js";
import { SearchMemories } from "./search-memories.js";
import { UpdateMemory } from "./update-memory.js";

const APP_CONNECTIONS = 16;
const AUTH_CONNECTIONS = 2;
const SCHEDULER_CONNECTIONS = 1;

/** Ends what runs beside the calls, once no call runs any more. */
class Shutdown implements OnApplicationShutdown {
  constructor(private readonly steps: readonly (() => Promise<unknown>)[]) {}

  async onApplicationShutdown(): Promise<void> {
    for (const step of this.steps) await step();
  }
}

/** Wiring only. */
@Module({})
export class IndexerModule {
  /** @throws StartupError when the roles, the schema or a key file is not as it must be */
  static async create(config: IndexerConfig, log: Logger, metrics: Metrics): Promise<{ module: DynamicModule; isReady: () => Promise<boolean> }> {
    const roots = FileRootKeys.open(config.MEMSEAL_ROOT_KEY_FILE);
    await roots.current().health();
    const verifier = AssertionVerifier.load(config.MEMSEAL_ASSERTION_PUBLIC_KEY_FILES);
    const poolUse = metrics.ratio("memseal_database_pool_use_ratio", {});
    const appPool = createPool(config.DATABASE_URL, log, APP_CONNECTIONS, { onCheckout: (use) => { poolUse.observe(use); } });
    const authPool = createPool(config.DATABASE_AUTH_URL, log, AUTH_CONNECTIONS);
    const schedulerPool = createPool(config.DATABASE_SCHEDULER_URL, log, SCHEDULER_CONNECTIONS, { readsTables: true });
    await assertSchema(appPool);
    for (const pool of [appPool, authPool, schedulerPool]) await assertSafeRole(pool);
    const crossTenant = crossTenantCounters(metrics);
    const waits = metrics.counter("memseal_database_waits_total", {});
    const walls = {
      onForeignRow: () => { crossTenant.reached(); },
      onRefused: () => { crossTenant.refused("row_security"); },
    };
    const database = new TenantDatabase(appPool, walls, new ConnectionShares(APP_CONNECTIONS, (outcome) => { waits.inc({ outcome }); }));

    const maintenance = new Maintenance({ database, due: new DueTenants(schedulerPool), metrics, log });
    const failures = metrics.counter("memseal_integrity_failures_total", {});
    const refusedKeys = metrics.counter("memseal_api_keys_refused_total", {});
    const keyLookup = new ApiKeyLookup(authPool, () => roots.macs(), (keyId, reason) => {
      refusedKeys.inc({ reason });
      log.error("api key refused", { keyId, reason });
    });
    const refreshes = metrics.counter("memseal_index_refreshes_total", {});
    const indexer = assembleIndexer({
      database,
      roots,
      receiptSigner: config.MEMSEAL_RECEIPT_KEY_FILE === undefined ? undefined : ReceiptSigner.load(config.MEMSEAL_RECEIPT_KEY_FILE),
      log,
      quotas: { memories: config.MEMSEAL_QUOTA_MEMORIES, bytes: config.MEMSEAL_QUOTA_BYTES },
      cache: { maxBytes: config.MEMSEAL_INDEX_CACHE_BYTES, maxTenantChunks: config.MEMSEAL_MAX_TENANT_CHUNKS, onRefresh: (how) => { refreshes.inc({ how }); } },
      onIntegrityFailure: () => { failures.inc(); },
      onErased: (tenant) => { maintenance.kick(tenant); },
    });
    metrics.gauge("memseal_index_bytes", () => [{ value: indexer.cache.bytes }]);
    maintenance.start();
    const pools = [appPool, authPool, schedulerPool];
    const module: DynamicModule = {
      module: IndexerModule,
      controllers: [IndexerGrpc],
      providers: [
        { provide: PutMemories, useValue: indexer.put },
        { provide: SearchMemories, useValue: indexer.search },
        { provide: ReadMemories, useValue: indexer.reads },
        { provide: UpdateMemory, useValue: indexer.update },
        { provide: DeleteMemories, useValue: indexer.deletes },
        { provide: ListAudit, useValue: indexer.audit },
        { provide: EraseTenant, useValue: indexer.erasure },
        { provide: ErasureReceipts, useValue: indexer.receipts },
        { provide: NoteToken, useValue: indexer.tokens },
        { provide: ApiKeyLookup, useValue: keyLookup },
        { provide: Shutdown, useValue: new Shutdown([() => maintenance.stop(), () => indexer.damage.flush(), () => Promise.all(pools.map((pool) => pool.end()))]) },
        { provide: APP_GUARD, useValue: new TenantGuard(verifier, () => { crossTenant.refused("assertion"); }) },
        { provide: APP_FILTER, useValue: new GrpcErrorFilter(log) },
      ],
    };
    // On a connection that no caller waits for: an indexer that has much to do is still ready.
    return { module, isReady: () => isReachable(schedulerPool) };
  }
}
