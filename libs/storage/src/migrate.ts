import { StartupError } from "@memseal/errors";
import { DataSource } from "typeorm";
import { ApiKeyEntity } from "./entities/api-key.entity.js";
import { AuditEventEntity } from "./entities/audit-event.entity.js";
import { ChunkEntity } from "./entities/chunk.entity.js";
import { EmbeddingGenerationEntity } from "./entities/embedding-generation.entity.js";
import { IdempotencyEntity } from "./entities/idempotency.entity.js";
import { MemoryTombstoneEntity } from "./entities/memory-tombstone.entity.js";
import { MemoryVersionEntity } from "./entities/memory-version.entity.js";
import { MemoryEntity } from "./entities/memory.entity.js";
import { SchemaVersionEntity } from "./entities/schema-version.entity.js";
import { TenantKeyEntity } from "./entities/tenant-key.entity.js";
import { TenantEntity } from "./entities/tenant.entity.js";
import { FirstLight0001000000000 } from "./migrations/0001-first-light.js";
import { Base0002000000000 } from "./migrations/0002-base.js";
import { SCHEMA } from "./roles.js";

/** Any number that nobody else uses as an advisory lock here: "memseal" as ASCII. */
const MIGRATION_LOCK = "30792293223326060";

/** TypeORM over the owner's connection: migrations and API keys, never a service's work. */
export function ownerDataSource(url: string): DataSource {
  return new DataSource({
    type: "postgres",
    url,
    schema: SCHEMA,
    entities: [
      ApiKeyEntity, AuditEventEntity, ChunkEntity, EmbeddingGenerationEntity, IdempotencyEntity, MemoryEntity,
      MemoryTombstoneEntity, MemoryVersionEntity, SchemaVersionEntity, TenantEntity, TenantKeyEntity,
    ],
    migrations: [FirstLight0001000000000, Base0002000000000],
    migrationsTableName: "typeorm_migration",
    synchronize: false,
    migrationsRun: false,
    logging: false,
  });
}

/** Applies what is missing, one transaction a migration. Waits for another process that is doing the same. */
export function migrateUp(url: string): Promise<void> {
  return underLock(url, async (source) => {
    await source.runMigrations({ transaction: "each" });
  });
}

/** Takes the newest migration back. */
export function migrateDown(url: string): Promise<void> {
  return underLock(url, async (source) => {
    await source.undoLastMigration({ transaction: "each" });
  });
}

async function underLock(url: string, work: (source: DataSource) => Promise<void>): Promise<void> {
  const source = ownerDataSource(url);
  try {
    await source.initialize();
  } catch (error) {
    throw new StartupError("the database cannot be reached as its owner: check DATABASE_OWNER_URL", { cause: error });
  }
  const lock = source.createQueryRunner();
  try {
    await lock.query("SELECT pg_advisory_lock($1)", [MIGRATION_LOCK]);
    await lock.query(`CREATE SCHEMA IF NOT EXISTS ${SCHEMA}`);
    await work(source);
  } finally {
    // Closing the connection gives the lock back, also after a failure.
    await lock.release();
    await source.destroy();
  }
}
