import { DataSource } from "typeorm";
import { ApiKeyEntity } from "./entities/api-key.entity.js";
import { AuditEventEntity } from "./entities/audit-event.entity.js";
import { ChunkEntity } from "./entities/chunk.entity.js";
import { EmbeddingGenerationEntity } from "./entities/embedding-generation.entity.js";
import { ErasureEntity } from "./entities/erasure.entity.js";
import { IdempotencyEntity } from "./entities/idempotency.entity.js";
import { KeyEventEntity } from "./entities/key-event.entity.js";
import { MemoryTombstoneEntity } from "./entities/memory-tombstone.entity.js";
import { MemoryVersionEntity } from "./entities/memory-version.entity.js";
import { MemoryEntity } from "./entities/memory.entity.js";
import { RootKeyEntity } from "./entities/root-key.entity.js";
import { SchemaVersionEntity } from "./entities/schema-version.entity.js";
import { TenantKeyEntity } from "./entities/tenant-key.entity.js";
import { TenantEntity } from "./entities/tenant.entity.js";
import { FirstLight0001000000000 } from "./migrations/0001-first-light.js";
import { Base0002000000000 } from "./migrations/0002-base.js";
import { ApiKeyMacs0003000000000 } from "./migrations/0003-api-key-macs.js";
import { RootKeys0004000000000 } from "./migrations/0004-root-keys.js";
import { SCHEMA } from "./roles.js";

/** TypeORM over the owner's connection: migrations alone, never a service's work. */
export function ownerDataSource(url: string): DataSource {
  return new DataSource({
    type: "postgres",
    url,
    schema: SCHEMA,
    entities: [
      ApiKeyEntity, AuditEventEntity, ChunkEntity, EmbeddingGenerationEntity, ErasureEntity, IdempotencyEntity, KeyEventEntity, MemoryEntity,
      MemoryTombstoneEntity, MemoryVersionEntity, RootKeyEntity, SchemaVersionEntity, TenantEntity, TenantKeyEntity,
    ],
    migrations: [FirstLight0001000000000, Base0002000000000, ApiKeyMacs0003000000000, RootKeys0004000000000],
    migrationsTableName: "typeorm_migration",
    synchronize: false,
    migrationsRun: false,
    logging: false,
  });
}
