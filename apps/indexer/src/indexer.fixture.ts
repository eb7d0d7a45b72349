import { randomBytes } from "node:crypto";
import type { AddedMemory, MemoryToPut, PutCommand } from "@memseal/contracts/indexer";
import { parseUserHash, SecretBytes, type UserHash } from "@memseal/crypto";
import { FileProvider, soleRootKey, TenantKeys, type RootProvider, type TenantKeySet } from "@memseal/keys";
import { createPool, DueTenants, TenantDatabase, TenantKeyStore } from "@memseal/storage";
import { startTestDatabase, type TestDatabase } from "@memseal/storage/testing";
import { Logger } from "@memseal/telemetry";
import type pg from "pg";
import { assembleIndexer, type Indexer } from "./assemble-indexer.js";
import type { TenantCall } from "./call.js";
import type { Quotas } from "./tenant-writes.js";

/** A memory in one chunk. hasOwnVector: whether its caller made the vector, in a call with others of the embedder's. */
export type TestMemory = Partial<MemoryToPut["content"]> & { text: string; vector: Float32Array; hasOwnVector?: boolean };

export interface TestIndexer extends Indexer {
  callOf(tenant: UserHash, more?: Partial<TenantCall>): TenantCall;
  /** Puts memories and gives their ids. */
  add(tenant: UserHash, memories: readonly TestMemory[]): Promise<string[]>;
  put1(tenant: UserHash, memory: TestMemory, more?: Partial<TenantCall>): Promise<AddedMemory>;
  /** Rows that did not open, each counted once. */
  failures(): number;
}

export interface TestIndexerSpec {
  root?: RootProvider;
  maxBytes?: number;
  maxTenantChunks?: number;
  quotas?: Partial<Quotas>;
  log?: Logger;
}

/** A database with everything an indexer needs of it. */
export interface IndexerTest {
  readonly database: TenantDatabase;
  readonly due: DueTenants;
  /** The keys of a tenant as its indexers hold them. */
  keysOf(tenant: UserHash): Promise<TenantKeySet>;
  /** What one process is to the database, without a server. */
  newIndexer(spec?: TestIndexerSpec): TestIndexer;
  /** Rows as a thief of the disk would see them; `$1` is the tenant. */
  rowsOf<Row extends pg.QueryResultRow>(tenant: UserHash, sql: string, ...parameters: unknown[]): Promise<Row[]>;
  countOf(tenant: UserHash, table: string): Promise<number>;
  stop(): Promise<void>;
}

const silent = new Logger("test", () => undefined);

export async function startIndexerTest(): Promise<IndexerTest> {
  const test: TestDatabase = await startTestDatabase();
  const pools = [createPool(test.urls.app, silent, 8), createPool(test.urls.scheduler, silent, 2, { readsTables: true })] as const;
  const database = new TenantDatabase(pools[0]);
  const root = new FileProvider(SecretBytes.of(randomBytes(32)));
  const rowsOf: IndexerTest["rowsOf"] = (tenant, sql, ...parameters) => test.asSuperuser(sql, [Buffer.from(tenant, "hex"), ...parameters]);
  return {
    database,
    due: new DueTenants(pools[1]),
    keysOf: (tenant) => new TenantKeys(new TenantKeyStore(database), soleRootKey(root)).get(tenant, 0),
    newIndexer: ({ root: own = root, ...spec } = {}) => newIndexer(database, { root: own, ...spec }),
    rowsOf,
    async countOf(tenant, table) {
      const [{ count }] = await rowsOf<{ count: string }>(tenant, `SELECT count(*) FROM memseal.${table} WHERE user_hash = $1`);
      return Number(count);
    },
    async stop() {
      await Promise.all(pools.map((pool) => pool.end()));
      await test.stop();
    },
  };
}

export const newTenant = (): UserHash => parseUserHash(randomBytes(32).toString("hex"));

function newIndexer(database: TenantDatabase, { root, maxBytes = 1e9, maxTenantChunks = 1e6, quotas = {}, log = silent }: TestIndexerSpec & { root: RootProvider }): TestIndexer {
  let failures = 0;
  const indexer = assembleIndexer({
    database,
    roots: soleRootKey(root),
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
    memories: memories.map(({ vector, hasOwnVector = model === "", ...content }) => ({ content: { tags: [], ...content }, chunks: [{ start: 0, end: Array.from(content.text).length, vector }], hasOwnVector })),
    model,
    dimension: memories[0]?.vector.length ?? 0,
  };
}

const DIMENSION = 8;

export const randomVector = (dimension = DIMENSION): Float32Array => Float32Array.from({ length: dimension }, () => Math.random() - 0.5);

/** Memories of which no two have one text: those would be duplicates. */
export const notes = (count: number, more: Partial<TestMemory> = {}): TestMemory[] =>
  Array.from({ length: count }, () => ({ text: `note ${randomBytes(8).toString("hex")}`, vector: randomVector(), ...more }));
