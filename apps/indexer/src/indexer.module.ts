import { AssertionVerifier } from "@memseal/auth";
import { FileProvider, loadSecret, TenantKeys } from "@memseal/keys";
import { ApiKeyLookup, assertSafeRole, assertSchema, createPool, MemoryStore, TenantDatabase, TenantKeyStore } from "@memseal/storage";
import { crossTenantCounters, type Logger, type Metrics } from "@memseal/telemetry";
import { GrpcErrorFilter, TenantGuard } from "@memseal/transport";
import { Module, type DynamicModule, type OnApplicationShutdown } from "@nestjs/common";
import { APP_FILTER, APP_GUARD } from "@nestjs/core";
import type pg from "pg";
import type { IndexerConfig } from "./config.js";
import { DeleteMemory } from "./delete-memory.js";
import { IndexerGrpc } from "./indexer.grpc.js";
import { PutMemories } from "./put-memories.js";
import { ReadMemories } from "./read-memories.js";
import { SearchMemories } from "./search-memories.js";
import { TenantCache } from "./tenant-cache.js";
import { TenantWrites } from "./tenant-writes.js";

const APP_CONNECTIONS = 16;
const AUTH_CONNECTIONS = 4;

class Connections implements OnApplicationShutdown {
  constructor(private readonly pools: readonly pg.Pool[]) {}

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.pools.map((pool) => pool.end()));
  }
}

/** Wiring only. */
@Module({})
export class IndexerModule {
  /** @throws StartupError when the roles, the schema or a key file is not as it must be */
  static async create(config: IndexerConfig, log: Logger, metrics: Metrics): Promise<DynamicModule> {
    const root = new FileProvider(loadSecret(config.MEMSEAL_ROOT_KEY_FILE));
    await root.health();
    const verifier = AssertionVerifier.load(config.MEMSEAL_ASSERTION_PUBLIC_KEY_FILES);
    const appPool = createPool(config.DATABASE_URL, log, APP_CONNECTIONS);
    const authPool = createPool(config.DATABASE_AUTH_URL, log, AUTH_CONNECTIONS);
    await assertSchema(appPool);
    await assertSafeRole(appPool);
    await assertSafeRole(authPool);

    const crossTenant = crossTenantCounters(metrics);
    const database = new TenantDatabase(appPool, {
      onForeignRow: () => { crossTenant.reached(); },
      onRefused: () => { crossTenant.refused("row_security"); },
    });
    const writes = new TenantWrites(database);
    const store = new MemoryStore();
    const keys = new TenantKeys(new TenantKeyStore(database), root);
    const cache = new TenantCache(database, store, keys, config.MEMSEAL_INDEX_CACHE_BYTES);
    return {
      module: IndexerModule,
      controllers: [IndexerGrpc],
      providers: [
        { provide: PutMemories, useValue: new PutMemories(database, writes, store, keys) },
        { provide: SearchMemories, useValue: new SearchMemories(database, store, cache, keys) },
        { provide: ReadMemories, useValue: new ReadMemories(database, store, keys) },
        { provide: DeleteMemory, useValue: new DeleteMemory(writes, store) },
        { provide: ApiKeyLookup, useValue: new ApiKeyLookup(authPool) },
        { provide: Connections, useValue: new Connections([appPool, authPool]) },
        { provide: APP_GUARD, useValue: new TenantGuard(verifier, () => { crossTenant.refused("assertion"); }) },
        { provide: APP_FILTER, useValue: new GrpcErrorFilter(log) },
      ],
    };
  }
}
