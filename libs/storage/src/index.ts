export {
  ApiKeyLookup, createApiKey, listApiKeys, listKeyEvents, revokeApiKey, vouchForApiKeys,
  type Authenticity, type ListedApiKey, type ListedKeyEvent, type NewApiKey, type ResolvedKey,
} from "./api-key-store.js";
export { ConnectionShares, type CallEnd, type WaitOutcome } from "./connection-shares.js";
export { DueTenants } from "./due-tenants.js";
export { LocalDatabase, localDatabaseUrls, type RoleUrls } from "./local-database.js";
export { AuditStore, type AuditRow } from "./audit-store.js";
export { ErasureStore, type Erasure, type NewErasure } from "./erasure-store.js";
export { ERASURE_REF, IdempotencyStore } from "./idempotency-store.js";
export { MaintenanceStore } from "./maintenance-store.js";
export { KEPT_VERSIONS, MemoryStore, TOMBSTONES_KEPT_MS } from "./memory-store.js";
export type { ChangePage, Deleted, MemoryRefs, NewSealedMemory, SealedChunk, SealedMemory, SealedVersion } from "./memory-store.js";
export { inWords, migrateDown, migrateUp, schemaStatus, type SchemaStatus, type SchemaStep, type TableRows } from "./migrate.js";
export { createPool, isReachable } from "./pool.js";
export { destroyRootKey, listRootKeys, rotateRootKey, type Rotation, type RotationStep, type RotationUrls, type RootKeyRecord } from "./root-key-store.js";
export { assertSafeRole, assertSchema, SERVICE_SCHEMA } from "./start-checks.js";
export { TenantStore } from "./tenant-store.js";
export type { ActiveGeneration, EmbeddingGeneration, TenantState, TurnTotals, WriteTurn } from "./tenant-store.js";
export { TenantKeyStore } from "./tenant-key-store.js";
export { TenantDatabase, type TenantTransaction, type TenantWalls } from "./tenant-transaction.js";
