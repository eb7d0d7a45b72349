export type {
  AddedMemory,
  AuditEvent,
  CallOptions,
  Condition,
  Conversation,
  Deleted,
  ErasureReceipt,
  Filters,
  Json,
  LatencyMs,
  ListRequest,
  Memory,
  MemoryChanges,
  MemoryVersion,
  Message,
  Metadata,
  NewMemory,
  Page,
  Passage,
  RerankedDocument,
  RerankRequest,
  RerankResponse,
  Scores,
  SearchAnswer,
  SearchEvent,
  SearchRequest,
  SearchResult,
  Selection,
  Time,
  Vector,
  WriteOptions,
} from "./contract.js";
export type { TokenScope } from "./credentials.js";
export { MemsealError, type MemsealErrorCode } from "./errors.js";
export type { Fetch } from "./http.js";
export { Memseal, type MemsealOptions } from "./memseal.js";
export type { MemsealUser } from "./memseal-user.js";
export { toWire } from "./wire-names.js";
