export { ApiKeyLookup, createApiKey, type NewApiKey, type ResolvedKey } from "./api-key-store.js";
export { LocalDatabase, localDatabaseUrls, type RoleUrls } from "./local-database.js";
export { MemoryStore } from "./memory-store.js";
export type { Changes, EmbeddingGeneration, NewSealedMemory, SealedChunk, SealedMemory, TenantState, WrappedKey, WriteTurn } from "./memory-store.js";
export { migrateDown, migrateUp, ownerDataSource } from "./migrate.js";
export { createPool } from "./pool.js";
export { provisionDatabase, provisionRoles, ROLES, type LoginRole } from "./roles.js";
export { assertSafeRole, assertSchema, SERVICE_SCHEMA } from "./start-checks.js";
export { TenantDatabase, TenantTransaction } from "./tenant-transaction.js";
