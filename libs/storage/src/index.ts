export { ApiKeyLookup, createApiKey, type NewApiKey, type ResolvedKey } from "./api-key-store.js";
export { LocalDatabase, localDatabaseUrls, type RoleUrls } from "./local-database.js";
export { MemoryStore } from "./memory-store.js";
export type { ActiveGeneration, Changes, EmbeddingGeneration, NewSealedMemory, SealedChunk, SealedMemory, TenantState, WriteTurn } from "./memory-store.js";
export { inWords, migrateDown, migrateUp, schemaStatus, type SchemaStatus, type SchemaStep, type TableRows } from "./migrate.js";
export { createPool } from "./pool.js";
export { assertSafeRole, assertSchema, SERVICE_SCHEMA } from "./start-checks.js";
export { TenantKeyStore } from "./tenant-key-store.js";
export { TenantDatabase, type TenantTransaction, type TenantWalls } from "./tenant-transaction.js";
