import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { UserHash } from "@memseal/crypto";
import { Logger } from "@memseal/telemetry";
import pg from "pg";
import { EmbeddedPostgres } from "./embedded-postgres.js";
import { LocalDatabase, newPasswords, roleUrlsOf, type RoleUrls } from "./local-database.js";
import { migrateUp } from "./migrate.js";
import { isTaken } from "./postgres-binaries.js";
import { provisionDatabase, provisionRoles } from "./roles.js";
import type { TenantDatabase } from "./tenant-transaction.js";

/** A database of its own in a real PostgreSQL, with roles and schema. */
export interface TestDatabase {
  readonly urls: RoleUrls;
  /** The cluster's superuser, in the product's database: what a thief of the disk would see. */
  readonly superuser: pg.ClientConfig;
  asSuperuser<Row extends pg.QueryResultRow>(sql: string, parameters?: unknown[]): Promise<Row[]>;
  stop(): Promise<void>;
}

export interface EmbeddedTestDatabase extends TestDatabase {
  /** For what goes with it. */
  readonly dir: string;
  /** 32 bytes that are its own: whoever shares it has the same. */
  readonly rootKeyFile: string;
  /** The one that runs now. */
  readonly server: EmbeddedPostgres;
  /** Stops the server, and starts it again when `work` has ended, with every role and row it had. */
  whileAway<T>(work: () => Promise<T>): Promise<T>;
}

/** What suites that share a database need to know of it; as JSON, in the file that MEMSEAL_E2E_DATABASE names. */
export type SharedDatabase = Pick<EmbeddedTestDatabase, "urls" | "superuser" | "rootKeyFile">;

/** On an embedded server in a directory of its own, or the database that is shared with others. */
export function startTestDatabase(): Promise<EmbeddedTestDatabase> {
  const shared = process.env["MEMSEAL_E2E_DATABASE"];
  return shared === undefined ? startEmbedded() : Promise.resolve(joinShared(JSON.parse(readFileSync(shared, "utf8")) as SharedDatabase));
}

function joinShared({ urls, superuser, rootKeyFile }: SharedDatabase): EmbeddedTestDatabase {
  const notOurs = () => { throw new Error("a database that others use too is not stopped by one of them"); };
  const dir = mkdtempSync(join(tmpdir(), "memseal-test-"));
  return {
    ...withSuperuser(urls, superuser),
    dir,
    rootKeyFile,
    get server() {
      return notOurs();
    },
    whileAway: notOurs,
    stop() {
      rmSync(dir, { recursive: true });
      return Promise.resolve();
    },
  };
}

async function startEmbedded(): Promise<EmbeddedTestDatabase> {
  const dir = mkdtempSync(join(tmpdir(), "memseal-test-"));
  const log = new Logger("test", () => undefined);
  const scratch = process.env["MEMSEAL_TEST_SCRATCH"];
  if (scratch !== undefined) await copyCluster(await emptyCluster(scratch, log), dir);
  const { urls, server: first } = await LocalDatabase.start(dir, log);
  let server = first;
  const rootKeyFile = join(dir, "root.key");
  writeFileSync(rootKeyFile, randomBytes(32), { mode: 0o600 });
  return {
    ...withSuperuser(urls, server.superuser("memseal")),
    dir,
    rootKeyFile,
    get server() {
      return server;
    },
    async whileAway(work) {
      await server.stop();
      try {
        return await work();
      } finally {
        server = await EmbeddedPostgres.start({ dataDir: dir, log });
      }
    },
    async stop() {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A stopped server's folder, made once for all suites of a run: initdb takes seconds. scratch: the run's temporary folder. */
async function emptyCluster(scratch: string, log: Logger): Promise<string> {
  const cluster = join(scratch, "cluster");
  if (existsSync(cluster)) return cluster;
  const draft = mkdtempSync(`${cluster}-`);
  await (await EmbeddedPostgres.start({ dataDir: draft, log })).stop();
  try {
    renameSync(draft, cluster);
  } catch (error) {
    // Another suite was first: its cluster is as good.
    if (!isTaken(error)) throw error;
    rmSync(draft, { recursive: true });
  }
  return cluster;
}

/** With the owner of each file, whom fs.cp forgets; the programs stay where they are. */
async function copyCluster(cluster: string, dir: string): Promise<void> {
  await promisify(execFile)("cp", ["-a", join(cluster, "data"), join(cluster, "superuser.password"), dir]);
  symlinkSync(join(cluster, "binaries"), join(dir, "binaries"));
}

export interface TestServer {
  name: string;
  /** Absent where this machine has none: the tests that need it are skipped by name. */
  start?: () => Promise<TestDatabase>;
}

/** The servers that every promise of isolation is tested on: the embedded one, and one that somebody else made. */
export function testServers(): TestServer[] {
  const url = process.env.MEMSEAL_TEST_POSTGRES_URL;
  return [
    { name: "the embedded PostgreSQL", start: startTestDatabase },
    url === undefined
      ? { name: "another PostgreSQL (skipped: MEMSEAL_TEST_POSTGRES_URL is not set)" }
      : { name: "the PostgreSQL of MEMSEAL_TEST_POSTGRES_URL", start: () => startOn(url) },
  ];
}

/** Roles belong to the cluster: no two of these at the same time. */
async function startOn(superuserUrl: string): Promise<TestDatabase> {
  const name = `memseal_test_${randomBytes(6).toString("hex")}`;
  const inDatabase = (database: string) => {
    const url = new URL(superuserUrl);
    url.pathname = database;
    return { connectionString: url.href };
  };
  const passwords = newPasswords();
  await withClient({ connectionString: superuserUrl }, async (client) => {
    await provisionRoles(client, passwords);
    await provisionDatabase(client, name);
  });
  const urls = roleUrlsOf(passwords, (role, password) => {
    const url = new URL(inDatabase(name).connectionString);
    url.username = role;
    url.password = password;
    return url.href;
  });
  await migrateUp(urls.owner);
  return {
    ...withSuperuser(urls, inDatabase(name)),
    stop: () => withClient({ connectionString: superuserUrl }, async (client) => {
      await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
    }),
  };
}

function withSuperuser(urls: RoleUrls, superuser: pg.ClientConfig): Omit<TestDatabase, "stop"> {
  return {
    urls,
    superuser,
    async asSuperuser<Row extends pg.QueryResultRow>(sql: string, parameters: unknown[] = []) {
      return withClient(superuser, async (client) => (await client.query<Row>(sql, parameters)).rows);
    },
  };
}

/** A connection for as long as `work` takes. */
export async function withClient<T>(config: pg.ClientConfig | string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(config);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Every table that holds rows of tenants. */
export const TENANT_TABLES = [
  "tenant", "tenant_key", "memory", "chunk", "memory_version", "memory_tombstone", "embedding_generation", "idempotency", "audit_event", "erasure",
] as const;

/** Gives a tenant a row in each of them; returns its memory's id. text: what stands for the sealed text. */
export function fillTenant(database: TenantDatabase, tenant: UserHash, text = Buffer.from("sealed")): Promise<string> {
  const id = `0190${randomBytes(2).toString("hex")}-0000-7000-8000-${randomBytes(6).toString("hex")}`;
  const ref = () => randomBytes(32);
  return database.withTenant(tenant, async (tx) => {
    const insert = (table: (typeof TENANT_TABLES)[number], columns: string, ...values: unknown[]) =>
      tx.query(`INSERT INTO memseal.${table} (user_hash, ${columns}) VALUES ($1, ${values.map((_value, i) => `$${i + 2}`).join(", ")})`, [tx.userHash, ...values]);
    const commitment = ref();
    const now = new Date();
    await insert("tenant", "seq, memory_count, byte_count", 2, 1, 9);
    await insert("tenant_key", "purpose, version, kid, commitment, provider, root_key_id, wrapped, status", "seal", 1, commitment.subarray(0, 16), commitment, "file", "r", randomBytes(60), "active");
    await insert("embedding_generation", "generation, model, dimension, chunker, state", 1, "m", 3, "c", "active");
    await insert("memory", "id, seq, row_version, key_ref, content_ref, text_cipher, meta_cipher, created_at, updated_at", id, 1, 1, ref(), ref(), text, Buffer.from("meta"), now, now);
    await insert("chunk", "generation, memory_id, chunk_no, seq, row_version, emb_cipher", 1, id, 0, 1, 1, Buffer.from("embedding"));
    await insert("memory_version", "memory_id, row_version, event, text_cipher, meta_cipher, at", id, 1, "create", text, Buffer.from("meta"), now);
    await insert("memory_tombstone", "id, seq, deleted_at", "01900000-0000-7000-8000-000000000000", 2, now);
    await insert("idempotency", "key_ref, request_ref, sealed_response, expires_at", ref(), ref(), Buffer.from("response"), now);
    await insert("audit_event", "n, at, actor_ref, action, target_ref, outcome, mac", 1, now, ref(), "memory.write", ref(), "ok", ref());
    await insert("erasure", "id, erased_at, memories, bytes, root_key_ids", id, now, 1, 9, ["r"]);
    return id;
  });
}
