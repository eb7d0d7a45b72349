import { randomBytes } from "node:crypto";
import type { AddedMemory, MemoryToPut, PutCommand } from "@memseal/contracts/indexer";
import { parseUserHash, type UserHash } from "@memseal/crypto";
import type { RootProvider } from "@memseal/keys";
import type { TenantDatabase } from "@memseal/storage";
import { Logger } from "@memseal/telemetry";
import { assembleIndexer, type Indexer } from "./assemble-indexer.js";
import type { TenantCall } from "./call.js";
import type { Quotas } from "./tenant-writes.js";

/** A memory in one chunk. */
export type TestMemory = Partial<MemoryToPut["content"]> & { text: string; vector: Float32Array };

export interface TestIndexer extends Indexer {
  callOf(tenant: UserHash, more?: Partial<TenantCall>): TenantCall;
  /** Puts memories and gives their ids. */
  add(tenant: UserHash, memories: readonly TestMemory[]): Promise<string[]>;
  put1(tenant: UserHash, memory: TestMemory, more?: Partial<TenantCall>): Promise<AddedMemory>;
  /** Rows that did not open, each counted once. */
  failures(): number;
}

export interface TestIndexerSpec {
  database: TenantDatabase;
  root: RootProvider;
  maxBytes?: number;
  maxTenantChunks?: number;
  quotas?: Partial<Quotas>;
  log?: Logger;
}

export const newTenant = (): UserHash => parseUserHash(randomBytes(32).toString("hex"));

/** An indexer without a server: what one process is to the database. */
export function testIndexer({ database, root, maxBytes = 1e9, maxTenantChunks = 1e6, quotas = {}, log = new Logger("test", () => undefined) }: TestIndexerSpec): TestIndexer {
  let failures = 0;
  const indexer = assembleIndexer({
    database,
    root,
    log,
    quotas: { memories: 1e6, bytes: 1e12, ...quotas },
    cache: { maxBytes, maxTenantChunks },
    onIntegrityFailure: () => { failures++; },
    onErased: () => undefined,
  });
  const callOf = (tenant: UserHash, more: Partial<TenantCall> = {}): TenantCall => ({ tenant, actor: "api-key test", deadlineMs: Date.now() + 30_000, ...more });
  return {
    ...indexer,
    callOf,
    failures: () => failures,
    async add(tenant, memories) {
      const { answer } = await indexer.put.put(callOf(tenant), putOf(memories));
      return answer.map(({ id }) => id);
    },
    async put1(tenant, memory, more) {
      const { answer } = await indexer.put.put(callOf(tenant, more), putOf([memory]));
      return answer[0];
    },
  };
}

/** model: "m", so that vectors count as the embedder's. */
export function putOf(memories: readonly TestMemory[], model = "m"): PutCommand {
  return {
    memories: memories.map(({ vector, ...content }) => ({ content: { tags: [], ...content }, chunks: [{ start: 0, end: Array.from(content.text).length, vector }] })),
    model,
    dimension: memories[0]?.vector.length ?? 0,
  };
}
