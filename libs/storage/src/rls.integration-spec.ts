import { randomBytes } from "node:crypto";
import { parseUserHash, type UserHash } from "@memseal/crypto";
import { Logger } from "@memseal/telemetry";
import pg from "pg";
import { MemoryStore } from "./memory-store.js";
import { createPool } from "./pool.js";
import { assertSafeRole, assertSchema } from "./start-checks.js";
import { TenantDatabase, type TenantTransaction } from "./tenant-transaction.js";
import { startTestDatabase, type TestDatabase } from "./testing.js";

const TABLES = ["tenant", "tenant_key", "memory", "chunk", "memory_tombstone", "embedding_generation"];
const alice = parseUserHash("aa".repeat(32));
const bob = parseUserHash("bb".repeat(32));
const store = new MemoryStore();
const log = new Logger("test", () => undefined);

let test: TestDatabase;
let pool: pg.Pool;
let database: TenantDatabase;

beforeAll(async () => {
  test = await startTestDatabase();
  // One connection: whatever a transaction left behind, the next one meets.
  pool = createPool(test.urls.app, log, 1);
  database = new TenantDatabase(pool);
  for (const tenant of [alice, bob]) await fill(tenant);
});

afterAll(async () => {
  await pool.end();
  await test.stop();
});

const uuid = () => `0190${randomBytes(2).toString("hex")}-0000-7000-8000-${randomBytes(6).toString("hex")}`;

async function fill(tenant: UserHash): Promise<void> {
  await database.withTenant(tenant, async (tx) => {
    const commitment = randomBytes(32);
    await store.createTenant(
      tx,
      { purpose: "seal", version: 1, kid: commitment.subarray(0, 16), commitment, provider: "file", rootKeyId: "r", wrapped: randomBytes(60), status: "active" },
      { generation: 1, model: "m", dimension: 3, chunker: "c" },
    );
    const ids = [uuid(), uuid()];
    const turn = (await store.takeTurn(tx))!;
    await store.insertMemories(tx, turn, ids.map((id) => ({
      id, rowVersion: 1, textCipher: Buffer.from("t"), metaCipher: Buffer.from("m"), chunks: [{ chunkNo: 0, embCipher: Buffer.from("e") }],
    })));
    await store.deleteMemory(tx, turn, ids[1]);
  });
}

/** What a forgotten WHERE would show. */
async function countEverything(tx: TenantTransaction, table: string): Promise<{ own: number; foreign: number }> {
  const { rows } = await tx.query<{ mine: boolean }>(`SELECT user_hash = $1 AS mine FROM memseal.${table}`, [tx.userHash]);
  return { own: rows.filter(({ mine }) => mine).length, foreign: rows.filter(({ mine }) => !mine).length };
}

describe("row security", () => {
  it.each(TABLES)("shows a query on %s that forgets its WHERE no foreign row", async (table) => {
    for (const tenant of [alice, bob]) {
      const { own, foreign } = await database.withTenant(tenant, (tx) => countEverything(tx, table));
      expect(own).toBeGreaterThan(0);
      expect(foreign).toBe(0);
    }
  });

  it.each(TABLES)("shows no row of %s when no tenant is set, on a connection fresh or used", async (table) => {
    const fresh = new pg.Client({ connectionString: test.urls.app });
    await fresh.connect();
    expect((await fresh.query(`SELECT 1 FROM memseal.${table}`)).rowCount).toBe(0);
    await fresh.end();
    expect((await pool.query(`SELECT 1 FROM memseal.${table}`)).rowCount).toBe(0);
  });

  it("forgets the tenant with the transaction: after a commit, an error and a lost statement", async () => {
    const seen = async () => (await pool.query<{ setting: string | null; rows: string }>(
      "SELECT current_setting('app.user_hash', true) AS setting, (SELECT count(*) FROM memseal.memory) AS rows",
    )).rows[0];
    await database.withTenant(alice, (tx) => countEverything(tx, "memory"));
    expect(await seen()).toEqual({ setting: "", rows: "0" });
    await expect(database.withTenant(alice, () => Promise.reject(new Error("stop")))).rejects.toThrow("stop");
    expect(await seen()).toEqual({ setting: "", rows: "0" });
    await expect(database.withTenant(alice, (tx) => tx.query("SELECT 1 / 0"))).rejects.toThrow();
    expect(await seen()).toEqual({ setting: "", rows: "0" });
  });

  it("gives a savepoint that rolls back no other tenant", async () => {
    await database.withTenant(alice, async (tx) => {
      await tx.query("SAVEPOINT inner_work");
      await expect(tx.query("SELECT 1 / 0")).rejects.toThrow();
      await tx.query("ROLLBACK TO SAVEPOINT inner_work");
      expect(await countEverything(tx, "memory")).toEqual({ own: 1, foreign: 0 });
    });
  });

  it("refuses to write a row of another tenant, or to move one there", async () => {
    const foreign = Buffer.from(bob, "hex");
    await expect(database.withTenant(alice, (tx) => tx.query("INSERT INTO memseal.tenant (user_hash) VALUES ($1)", [Buffer.alloc(32, 7)]))).rejects.toThrow("row-level security");
    await expect(database.withTenant(alice, (tx) => tx.query("UPDATE memseal.tenant SET user_hash = $1", [Buffer.alloc(32, 8)]))).rejects.toThrow("row-level security");
    const touched = await database.withTenant(alice, (tx) => tx.query("DELETE FROM memseal.memory WHERE user_hash = $1", [foreign]));
    expect(touched.rowCount).toBe(0);
  });

  it("binds the owner of the tables too", async () => {
    const owner = new pg.Client({ connectionString: test.urls.owner });
    await owner.connect();
    for (const table of [...TABLES, "api_key"]) expect((await owner.query(`SELECT 1 FROM memseal.${table}`)).rowCount).toBe(0);
    await owner.end();
  });

  it("lets a committed transaction be what it says: a swallowed failure is no commit", async () => {
    await expect(database.withTenant(alice, async (tx) => {
      await tx.query("SELECT 1 / 0").catch(() => undefined);
    })).rejects.toThrow("nothing was committed");
  });

  it("refuses statements after the transaction has ended", async () => {
    let leaked: TenantTransaction | undefined;
    await database.withTenant(alice, (tx) => { leaked = tx; return Promise.resolve(); });
    await expect(leaked!.query("SELECT 1")).rejects.toThrow("has ended");
  });

  it("takes nothing but 64 hex digits for a tenant", async () => {
    const injected = `${"aa".repeat(31)}'; --` as UserHash;
    await expect(database.withTenant(injected, () => Promise.resolve())).rejects.toThrow("64 lower-case hex digits");
    await expect(database.queryAsTenant(injected, "SELECT 1")).rejects.toThrow("64 lower-case hex digits");
  });
});

describe("the auth role", () => {
  it("can execute the key lookup and nothing else", async () => {
    const auth = new pg.Client({ connectionString: test.urls.auth });
    await auth.connect();
    for (const table of [...TABLES, "api_key", "schema_version"]) {
      await expect(auth.query(`SELECT 1 FROM memseal.${table}`)).rejects.toThrow("permission denied");
    }
    expect((await auth.query("SELECT * FROM memseal.resolve_api_key('k', '\\x00')")).rowCount).toBe(0);
    await auth.end();
  });

  it("is the only login role that can look keys up", async () => {
    await expect(pool.query("SELECT * FROM memseal.resolve_api_key('k', '\\x00')")).rejects.toThrow("permission denied");
  });
});

describe("start checks", () => {
  const check = async (url: string | pg.ClientConfig) => {
    const client = new pg.Client(url);
    await client.connect();
    try {
      await assertSafeRole(client);
    } finally {
      await client.end();
    }
  };

  it("accept the app and the auth role", async () => {
    await check(test.urls.app);
    await check(test.urls.auth);
  });

  it("refuse a superuser", async () => {
    await expect(check(test.server.superuser("memseal"))).rejects.toThrow("superuser or bypasses");
  });

  it("refuse a role that bypasses row security", async () => {
    await test.asSuperuser("ALTER ROLE memseal_app BYPASSRLS");
    await expect(check(test.urls.app)).rejects.toThrow("superuser or bypasses");
    await test.asSuperuser("ALTER ROLE memseal_app NOBYPASSRLS");
  });

  it("refuse the owner of the tables and a member of it", async () => {
    await expect(check(test.urls.owner)).rejects.toThrow("owns table");
    await test.asSuperuser("GRANT memseal_owner TO memseal_app");
    await expect(check(test.urls.app)).rejects.toThrow("owns table");
    await test.asSuperuser("REVOKE memseal_owner FROM memseal_app");
  });

  it("refuse a table whose row security is off or not forced", async () => {
    await test.asSuperuser("ALTER TABLE memseal.chunk NO FORCE ROW LEVEL SECURITY");
    await expect(check(test.urls.app)).rejects.toThrow("chunk is not under forced row security");
    await test.asSuperuser("ALTER TABLE memseal.chunk FORCE ROW LEVEL SECURITY");
  });

  it("refuse a database of another schema, saying which it has", async () => {
    await assertSchema(pool);
    await test.asSuperuser("INSERT INTO memseal.schema_version (number, min_service) VALUES (99, 98)");
    await expect(assertSchema(pool)).rejects.toThrow(/schema 99 .*built for schema 2/);
    await test.asSuperuser("DELETE FROM memseal.schema_version WHERE number = 99");
  });
});
