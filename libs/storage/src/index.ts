export { ApiKeyLookup, createApiKey, type NewApiKey, type ResolvedKey } from "./api-key-store.js";
export { LocalDatabase, localDatabaseUrls, type RoleUrls } from "./local-database.js";
export { MemoryStore } from "./memory-store.js";
export type { Changes, EmbeddingGeneration, NewSealedMemory, SealedChunk, SealedMemory, TenantState, WrappedKey, WriteTurn } from "./memory-store.js";
export { inWords, migrateDown, migrateUp, schemaStatus, type SchemaStatus, type SchemaStep, type TableRows } from "./migrate.js";
export { createPool } from "./pool.js";
export { assertSafeRole, assertSchema, SERVICE_SCHEMA } from "./start-checks.js";
export { TenantDatabase, type TenantTransaction } from "./tenant-transaction.js";
