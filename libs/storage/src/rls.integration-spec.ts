import { FIELD, generateKey, Keyring, open, OpenError, parseUserHash, seal, TenantKey, uuidBytes, type UserHash } from "@memseal/crypto";
import { Logger } from "@memseal/telemetry";
import pg from "pg";
import { createPool } from "./pool.js";
import { TenantDatabase, type TenantTransaction } from "./tenant-transaction.js";
import { fillTenant, TENANT_TABLES, testServers, withClient, type TestDatabase } from "./testing.js";

const alice = parseUserHash("aa".repeat(32));
const bob = parseUserHash("bb".repeat(32));
const log = new Logger("test", () => undefined);
const isTenant = "user_hash = decode(nullif(current_setting('app.user_hash', true), ''), 'hex')";

// Numbered as the traps that row-level security is known for.
for (const { name, start } of testServers()) {
  (start === undefined ? describe.skip : describe)(`row security on ${name}`, () => {
    let test: TestDatabase;
    let pool: pg.Pool;
    let database: TenantDatabase;
    const keyring = new Keyring(new TenantKey(generateKey()));
    const ids = new Map<UserHash, string>();
    const walls = { reached: 0, refused: 0 };

    beforeAll(async () => {
      test = await start!();
      // One connection: whatever a transaction left behind, the next one meets.
      pool = createPool(test.urls.app, log, 1);
      database = new TenantDatabase(pool, { onForeignRow: () => { walls.reached++; }, onRefused: () => { walls.refused++; } });
      for (const tenant of [alice, bob]) ids.set(tenant, await fillTenant(database, tenant));
    });

    afterAll(async () => {
      await pool.end();
      await test.stop();
    });

    /** What a forgotten WHERE would show, past the third wall. */
    const count = async (client: pg.ClientBase | pg.Pool, table: string, tenant: UserHash = alice) => {
      const { rows } = await client.query<{ own: string; foreign: string }>(
        `SELECT count(*) FILTER (WHERE user_hash = $1) AS own, count(*) FILTER (WHERE user_hash <> $1) AS foreign FROM memseal.${table}`,
        [Buffer.from(tenant, "hex")],
      );
      return { own: Number(rows[0].own), foreign: Number(rows[0].foreign) };
    };
    const readAll = (tx: TenantTransaction, table: string) => tx.query(`SELECT user_hash FROM memseal.${table}`);
    const asApp = <T>(work: (client: pg.Client) => Promise<T>) => withClient(test.urls.app, work);
    const setting = async (client: pg.ClientBase | pg.Pool) =>
      (await client.query<{ value: string | null }>("SELECT current_setting('app.user_hash', true) AS value")).rows[0].value;
    /** Makes a fault as the superuser for as long as `work` takes. */
    const withFault = async (fault: string, remedy: string, work: () => Promise<void>) => {
      await test.asSuperuser(fault);
      try {
        await work();
      } finally {
        await test.asSuperuser(remedy);
      }
    };

    it.each(TENANT_TABLES)("shows a query on %s that forgets its WHERE no foreign row", async (table) => {
      for (const tenant of [alice, bob]) {
        const { rows } = await database.withTenant(tenant, (tx) => readAll(tx, table));
        expect(rows).toEqual([{ user_hash: Buffer.from(tenant, "hex") }]);
      }
    });

    describe("1. superuser, BYPASSRLS and an owner without FORCE see everything", () => {
      it("a superuser sees both tenants, so no service may be one", async () => {
        await withClient(test.superuser, async (client) => { expect(await count(client, "memory")).toEqual({ own: 1, foreign: 1 }); });
      });

      it("a role that bypasses policies would, and the third wall stops what comes back", async () => {
        await withFault("ALTER ROLE memseal_app BYPASSRLS", "ALTER ROLE memseal_app NOBYPASSRLS", async () => {
          await asApp(async (client) => { expect(await count(client, "memory")).toEqual({ own: 1, foreign: 1 }); });
          const before = walls.reached;
          await expect(database.withTenant(alice, (tx) => readAll(tx, "memory"))).rejects.toThrow("row security has failed");
          await expect(database.statementsOf(alice).query("SELECT user_hash FROM memseal.memory")).rejects.toThrow("row security has failed");
          expect(walls.reached - before).toBe(2);
        });
      });

      it("the owner sees nothing, on any table, until FORCE is taken away", async () => {
        await withClient(test.urls.owner, async (owner) => {
          for (const table of [...TENANT_TABLES, "api_key"]) expect((await owner.query(`SELECT FROM memseal.${table}`)).rowCount).toBe(0);
          await withFault("ALTER TABLE memseal.memory NO FORCE ROW LEVEL SECURITY", "ALTER TABLE memseal.memory FORCE ROW LEVEL SECURITY", async () => {
            expect(await count(owner, "memory")).toEqual({ own: 1, foreign: 1 });
          });
        });
      });

      it("without a policy on a table the third wall stops what comes back", async () => {
        await withFault("ALTER TABLE memseal.chunk DISABLE ROW LEVEL SECURITY", "ALTER TABLE memseal.chunk ENABLE ROW LEVEL SECURITY", async () => {
          await expect(database.withTenant(alice, (tx) => readAll(tx, "chunk"))).rejects.toThrow("row security has failed");
        });
      });
    });

    describe("2. no tenant is no row", () => {
      it.each(TENANT_TABLES)("shows no row of %s when no tenant is set, on a connection fresh or used", async (table) => {
        await asApp(async (fresh) => {
          expect(await setting(fresh)).toBeNull();
          expect((await fresh.query(`SELECT FROM memseal.${table}`)).rowCount).toBe(0);
        });
        await database.withTenant(alice, (tx) => readAll(tx, table));
        expect(await setting(pool)).toBe("");
        expect((await pool.query(`SELECT FROM memseal.${table}`)).rowCount).toBe(0);
      });

      it("has no tenant of no bytes, which an empty setting could name", async () => {
        await expect(test.asSuperuser("INSERT INTO memseal.tenant (user_hash) VALUES ('')")).rejects.toThrow("tenant_user_hash_check");
      });
    });

    describe("3. a setting of the session", () => {
      it("leaks to the next user of a connection, so no statement of a tenant can make one", async () => {
        await asApp(async (client) => {
          await client.query(`SET app.user_hash = '${bob}'`);
          expect(await count(client, "memory", bob)).toEqual({ own: 1, foreign: 0 });
          await client.query(`BEGIN; SET LOCAL app.user_hash = '${alice}'; ROLLBACK`);
          expect(await count(client, "memory", bob)).toEqual({ own: 1, foreign: 0 });
        });
        await expect(database.withTenant(alice, (tx) => tx.query(`SET app.user_hash = '${bob}'`))).rejects.toThrow("only rows");
      });

      it("that leaked all the same is overruled in every transaction of a tenant", async () => {
        await pool.query(`SET app.user_hash = '${bob}'`);
        try {
          expect((await database.withTenant(alice, (tx) => readAll(tx, "memory"))).rows).toEqual([{ user_hash: Buffer.from(alice, "hex") }]);
          expect((await database.statementsOf(alice).query("SELECT user_hash FROM memseal.memory")).rows).toEqual([{ user_hash: Buffer.from(alice, "hex") }]);
        } finally {
          await pool.query("RESET app.user_hash");
        }
      });

      it("is not left behind: forgets the tenant with the transaction, after a commit, an error and a lost statement", async () => {
        const nobody = async () => { expect({ setting: await setting(pool), rows: await count(pool, "memory") }).toEqual({ setting: "", rows: { own: 0, foreign: 0 } }); };
        await database.withTenant(alice, (tx) => readAll(tx, "memory"));
        await nobody();
        await database.statementsOf(alice).query("SELECT user_hash FROM memseal.memory");
        await nobody();
        await expect(database.withTenant(alice, () => Promise.reject(new Error("stop")))).rejects.toThrow("stop");
        await nobody();
        await expect(database.withTenant(alice, (tx) => tx.query("SELECT 1 / 0"))).rejects.toThrow();
        await nobody();
        await expect(database.statementsOf(alice).query("SELECT 1 / 0")).rejects.toThrow();
        await nobody();
      });
    });

    it("4. a SET LOCAL outside of a transaction shows no row", async () => {
      await asApp(async (client) => {
        await client.query(`SET LOCAL app.user_hash = '${alice}'`);
        expect((await client.query("SELECT FROM memseal.memory")).rowCount).toBe(0);
      });
    });

    describe("5. savepoints, exceptions, cancels and nesting", () => {
      it("a savepoint that rolls back brings the tenant back that was set before it", async () => {
        await asApp(async (client) => {
          await client.query(`BEGIN; SET LOCAL app.user_hash = '${alice}'; SAVEPOINT inner_work; SET LOCAL app.user_hash = '${bob}'; ROLLBACK TO SAVEPOINT inner_work`);
          expect(await setting(client)).toBe(alice);
          await client.query("ROLLBACK");
        });
      });

      it("a failure inside a savepoint leaves the tenant as it was", async () => {
        await database.withTenant(alice, async (tx) => {
          await tx.query("SAVEPOINT inner_work");
          await expect(tx.query("SELECT 1 / 0")).rejects.toThrow();
          await tx.query("ROLLBACK TO SAVEPOINT inner_work");
          expect((await readAll(tx, "memory")).rows).toEqual([{ user_hash: Buffer.from(alice, "hex") }]);
        });
      });

      it("a statement that is cancelled ends the transaction and its tenant", async () => {
        const backend = (await pool.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")).rows[0].pid;
        const sleeping = database.withTenant(alice, (tx) => tx.query("SELECT pg_sleep(20)"));
        const outcome = expect(sleeping).rejects.toThrow("deadline");
        await until(async () => (await test.asSuperuser("SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", [backend])).length === 1);
        await test.asSuperuser("SELECT pg_cancel_backend($1)", [backend]);
        await outcome;
        expect({ setting: await setting(pool), rows: await count(pool, "memory") }).toEqual({ setting: "", rows: { own: 0, foreign: 0 } });
      });

      it("a tenant's work inside another's has its own transaction", async () => {
        const two = createPool(test.urls.app, log, 2);
        const nested = new TenantDatabase(two);
        await nested.withTenant(alice, async (outer) => {
          await nested.withTenant(bob, async (inner) => { expect((await readAll(inner, "memory")).rows).toEqual([{ user_hash: Buffer.from(bob, "hex") }]); });
          expect((await readAll(outer, "memory")).rows).toEqual([{ user_hash: Buffer.from(alice, "hex") }]);
        });
        await two.end();
      });
    });

    it("6. who can write SQL as the app role can name any tenant, and opens nothing of what comes back", async () => {
      const id = ids.get(bob)!;
      const place = { tenant: bob, rowId: uuidBytes(id), field: FIELD.text, rowVersion: 1 };
      await test.asSuperuser("UPDATE memseal.memory SET text_cipher = $2 WHERE id = $1", [id, seal(Buffer.from("bob's"), keyring, place)]);
      const stolen = await asApp(async (client) => {
        await client.query(`BEGIN; SET LOCAL app.user_hash = '${bob}'`);
        return (await client.query<{ text_cipher: Buffer }>("SELECT text_cipher FROM memseal.memory WHERE id = $1", [id])).rows[0].text_cipher;
      });
      expect(open(stolen, keyring, place).toString()).toBe("bob's");
      // Served as alice's: with her keys, and, where keys were mixed up as well, still bound to bob.
      expect(() => open(stolen, new Keyring(new TenantKey(generateKey())), { ...place, tenant: alice })).toThrow(OpenError);
      expect(() => open(stolen, keyring, { ...place, tenant: alice })).toThrow(OpenError);
    });

    describe("7. a key without the tenant", () => {
      it("tells by its error what another tenant holds", async () => {
        const id = ids.get(bob)!;
        const insert = () => database.withTenant(alice, (tx) => tx.query(
          "INSERT INTO memseal.memory_tombstone (user_hash, id, seq, deleted_at) VALUES ($1, $2, 1, now())", [tx.userHash, id],
        ));
        await test.asSuperuser("UPDATE memseal.memory_tombstone SET id = $1 WHERE user_hash = $2", [id, Buffer.from(bob, "hex")]);
        await withFault("CREATE UNIQUE INDEX leaking ON memseal.memory_tombstone (id)", "DROP INDEX memseal.leaking", async () => {
          await expect(insert()).rejects.toMatchObject({ code: "23505" });
        });
        // With ours it says nothing: both have the same id.
        await insert();
      });

      it("as a foreign key passes by the policy", async () => {
        const [{ user_hash: reached }] = await withScratch(async (client) => {
          await client.query("CREATE TABLE scratch.parent (user_hash bytea, id integer UNIQUE); CREATE TABLE scratch.child (user_hash bytea, id integer REFERENCES scratch.parent (id) ON DELETE CASCADE)");
          await secure(client, "parent", "child");
          await client.query("INSERT INTO scratch.parent VALUES ('\\xaa', 1); INSERT INTO scratch.child VALUES ('\\xbb', 1)");
          await asApp((app) => app.query("BEGIN; SET LOCAL app.user_hash = 'aa'; DELETE FROM scratch.parent; COMMIT"));
          return (await client.query<{ user_hash: Buffer | null }>("SELECT (SELECT user_hash FROM scratch.child) AS user_hash")).rows;
        });
        // bb's row is gone, though aa could not see it.
        expect(reached).toBeNull();
      });

      it("is none of ours: each unique key, foreign key and index begins with user_hash", async () => {
        const others = await test.asSuperuser(`
          SELECT i.indexrelid::regclass::text AS name FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
          LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
          WHERE n.nspname = 'memseal' AND a.attname IS DISTINCT FROM 'user_hash' AND c.relname NOT IN ('api_key', 'key_event', 'root_key', 'schema_version', 'typeorm_migration')
          UNION SELECT conname FROM pg_constraint WHERE contype = 'f' AND connamespace = 'memseal'::regnamespace`);
        expect(others).toEqual([]);
      });
    });

    describe("8. what reads with another's rights", () => {
      it("a view of a superuser shows every tenant, and with security_invoker one", async () => {
        const view = "GRANT SELECT ON memseal.leaking TO memseal_app";
        const seen = () => asApp(async (client) => {
          await client.query(`BEGIN; SET LOCAL app.user_hash = '${alice}'`);
          return count(client, "leaking");
        });
        await withFault(`CREATE VIEW memseal.leaking AS SELECT user_hash FROM memseal.memory; ${view}`, "DROP VIEW memseal.leaking", async () => {
          expect(await seen()).toEqual({ own: 1, foreign: 1 });
          await test.asSuperuser("ALTER VIEW memseal.leaking SET (security_invoker = true)");
          expect(await seen()).toEqual({ own: 1, foreign: 0 });
        });
      });

      it("a SECURITY DEFINER function of a superuser shows every tenant", async () => {
        await withFault(
          "CREATE FUNCTION memseal.leaking() RETURNS SETOF bytea LANGUAGE sql SECURITY DEFINER AS 'SELECT user_hash FROM memseal.memory'",
          "DROP FUNCTION memseal.leaking",
          async () => { expect((await pool.query("SELECT memseal.leaking()")).rowCount).toBe(2); },
        );
      });

      it("a second permissive policy is OR-ed, and the third wall stops what comes back", async () => {
        await withFault("CREATE POLICY second ON memseal.memory USING (true)", "DROP POLICY second ON memseal.memory", async () => {
          await expect(database.withTenant(alice, (tx) => readAll(tx, "memory"))).rejects.toThrow("row security has failed");
        });
      });
    });

    it("9. a partition queried directly has no policy of its parent", async () => {
      const counted = await withScratch(async (client) => {
        await client.query("CREATE TABLE scratch.whole (user_hash bytea) PARTITION BY LIST (user_hash); CREATE TABLE scratch.part PARTITION OF scratch.whole DEFAULT");
        await secure(client, "whole");
        await client.query("GRANT SELECT ON scratch.part TO memseal_app; INSERT INTO scratch.whole VALUES ('\\xaa'), ('\\xbb')");
        return asApp(async (app) => {
          await app.query("BEGIN; SET LOCAL app.user_hash = 'aa'");
          return [(await app.query("SELECT FROM scratch.whole")).rowCount, (await app.query("SELECT FROM scratch.part")).rowCount];
        });
      });
      expect(counted).toEqual([1, 2]);
    });

    describe("10. plans", () => {
      it("a generic plan reads the tenant anew at each execution", async () => {
        await asApp(async (client) => {
          await client.query("SET plan_cache_mode = force_generic_plan");
          for (let i = 0; i < 6; i++) {
            for (const tenant of [alice, bob]) {
              await client.query(`BEGIN; SET LOCAL app.user_hash = '${tenant}'`);
              const { rows } = await client.query({ name: "generic", text: "SELECT user_hash FROM memseal.memory WHERE seq > $1", values: [0] });
              expect(rows).toEqual([{ user_hash: Buffer.from(tenant, "hex") }]);
              await client.query("COMMIT");
            }
          }
        });
      });

      it("a statement that sets the tenant and reads is refused: the order of the two is open", async () => {
        await expect(database.withTenant(alice, (tx) => tx.query("SELECT user_hash, set_config('app.user_hash', $1, true) FROM memseal.memory", [bob]))).rejects.toThrow("settings");
      });
    });

    describe("11. writes", () => {
      const foreign = Buffer.from(bob, "hex");

      it("refuses to write a row of another tenant, or to move one there", async () => {
        const before = walls.refused;
        await expect(database.withTenant(alice, (tx) => tx.query("INSERT INTO memseal.tenant (user_hash) VALUES ($1)", [Buffer.alloc(32, 7)]))).rejects.toThrow("row-level security");
        await expect(database.withTenant(alice, (tx) => tx.query("UPDATE memseal.tenant SET user_hash = $1", [Buffer.alloc(32, 8)]))).rejects.toThrow("row-level security");
        expect(walls.refused - before).toBe(2);
      });

      it("touch no row by a foreign id or hash", async () => {
        const id = ids.get(bob);
        const touched = await database.withTenant(alice, async (tx) => [
          await tx.query("DELETE FROM memseal.memory WHERE user_hash = $1", [foreign]),
          await tx.query("DELETE FROM memseal.memory WHERE id = $1", [id]),
          await tx.query("UPDATE memseal.memory SET row_version = 9 WHERE id = $1", [id]),
          await tx.query("UPDATE memseal.tenant SET seq = 99 WHERE user_hash = $1", [foreign]),
        ]);
        expect(touched.map(({ rowCount }) => rowCount)).toEqual([0, 0, 0, 0]);
      });
    });

    async function withScratch<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
      return withClient(test.superuser, async (client) => {
        await client.query("CREATE SCHEMA scratch; GRANT USAGE ON SCHEMA scratch TO memseal_app");
        try {
          return await work(client);
        } finally {
          await client.query("DROP SCHEMA scratch CASCADE");
        }
      });
    }

    async function secure(client: pg.Client, ...tables: string[]): Promise<void> {
      for (const table of tables) {
        await client.query(`ALTER TABLE scratch.${table} ENABLE ROW LEVEL SECURITY; ALTER TABLE scratch.${table} FORCE ROW LEVEL SECURITY;
          CREATE POLICY tenant_isolation ON scratch.${table} USING (${isTenant}); GRANT SELECT, DELETE ON scratch.${table} TO memseal_app`);
      }
    }
  });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error("it did not come to pass in 10 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
