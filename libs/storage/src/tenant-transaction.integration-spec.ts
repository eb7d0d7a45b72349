import { createHash } from "node:crypto";
import { parseUserHash, type UserHash } from "@memseal/crypto";
import { Logger } from "@memseal/telemetry";
import pg from "pg";
import { MemoryStore } from "./memory-store.js";
import { createPool } from "./pool.js";
import { TenantStore } from "./tenant-store.js";
import { TenantDatabase, type TenantTransaction } from "./tenant-transaction.js";
import { fillTenant, testServers, withClient, type TestDatabase } from "./testing.js";
import { WireTap } from "./wire-tap.fixture.js";

const alice = parseUserHash("aa".repeat(32));
const bob = parseUserHash("bb".repeat(32));
const log = new Logger("test", () => undefined);

for (const { name, start } of testServers()) {
  (start === undefined ? describe.skip : describe)(`a tenant's transaction on ${name}`, () => {
    let test: TestDatabase;
    let pool: pg.Pool;
    let database: TenantDatabase;

    beforeAll(async () => {
      test = await start!();
      pool = createPool(test.urls.app, log, 2);
      database = new TenantDatabase(pool);
      for (const tenant of [alice, bob]) await fillTenant(database, tenant);
    });

    afterAll(async () => {
      await pool.end();
      await test.stop();
    });

    it("is what it says when it commits: a swallowed failure is no commit", async () => {
      await expect(database.withTenant(alice, async (tx) => {
        await tx.query("SELECT 1 / 0").catch(() => undefined);
      })).rejects.toThrow("nothing was committed");
    });

    it("takes no statement after it has ended", async () => {
      let leaked: TenantTransaction | undefined;
      await database.withTenant(alice, (tx) => { leaked = tx; return Promise.resolve(); });
      await expect(leaked!.query("SELECT 1")).rejects.toThrow("has ended");
    });

    it("takes nothing but 64 hex digits for a tenant", async () => {
      const injected = `${"aa".repeat(31)}'; --` as UserHash;
      await expect(database.withTenant(injected, () => Promise.resolve())).rejects.toThrow("64 lower-case hex digits");
      await expect(database.statementsOf(injected).query("SELECT 1")).rejects.toThrow("64 lower-case hex digits");
    });

    it.each(["COMMIT", "ROLLBACK", "BEGIN", `SET LOCAL app.user_hash = '${bob}'`, "SET ROLE memseal_owner", "RESET ALL", "SELECT 1; COMMIT"])("takes no %s of its user's: refused before it is sent, and rolled back", async (sql) => {
      await expect(database.withTenant(alice, async (tx) => {
        await tx.query("UPDATE memseal.tenant SET epoch = 77");
        await tx.query(sql);
      })).rejects.toThrow("tenant's");
      await expect(database.statementsOf(alice).query(sql)).rejects.toThrow("tenant's");
      expect(await test.asSuperuser("SELECT FROM memseal.tenant WHERE epoch = 77")).toEqual([]);
    });

    it("reads no row without the tenant beside it", async () => {
      await expect(database.withTenant(alice, (tx) => tx.query("SELECT id FROM memseal.memory"))).rejects.toThrow("must return user_hash");
      await expect(database.statementsOf(alice).query("SELECT id FROM memseal.memory")).rejects.toThrow("must return user_hash");
    });

    it("sends BEGIN and COMMIT of its own and no other, whatever happens inside", async () => {
      const client = new pg.Client(test.urls.app);
      const tap = await WireTap.before({ host: client.host, port: client.port, user: client.user, password: client.password ?? "", database: client.database });
      const tapped = new pg.Pool({ ...tap.config, max: 2, pipeline: true });
      const [tenants, memories] = [new TenantStore(), new MemoryStore()];
      const through = new TenantDatabase(tapped);
      const failing = { error: () => { throw new Error("stop"); } };
      await tenants.readActiveGeneration(through, alice);
      await through.withTenant(alice, async (tx) => { await tenants.takeTurn(tx); await tx.query("SAVEPOINT a"); await tx.query("ROLLBACK TO SAVEPOINT a"); });
      await through.withTenant(alice, async (outer) => {
        await through.withTenant(bob, (inner) => tenants.takeTurn(inner));
        await tenants.takeTurn(outer);
      });
      await through.withTenant(alice, (tx) => memories.readChanges(tx, { afterSeq: 0, generation: 1, deletedSince: 0, limit: 9 }), { snapshot: true });
      await tenants.readState(through, bob);
      await expect(through.withTenant(alice, () => Promise.resolve(failing.error()))).rejects.toThrow("stop");
      await expect(through.withTenant(alice, (tx) => tx.query("SELECT 1 / 0"))).rejects.toThrow();
      await expect(through.withTenant(alice, (tx) => tx.query("COMMIT"))).rejects.toThrow();
      await expect(through.statementsOf(alice).query("SELECT 1 / 0")).rejects.toThrow();
      await tapped.end();
      await tap.stop();

      const hash = `'(${alice}|${bob})'`;
      const words = tap.sent.map((statements) => statements.map((sql) =>
        new RegExp(`^BEGIN( ISOLATION LEVEL REPEATABLE READ, READ ONLY)?; SET LOCAL app.user_hash = ${hash}$`).test(sql) ? "begin"
          : /^(COMMIT|ROLLBACK)$/.test(sql) ? sql.toLowerCase()
            : /^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|SAVEPOINT|ROLLBACK TO SAVEPOINT)\b[^;]*$/.test(sql) ? "statement" : sql));
      expect(words.flat().filter((word) => word === "begin")).toHaveLength(10);
      // Sent with its COMMIT, a statement that fails has ended its transaction; one ROLLBACK more does no harm.
      for (const connection of words) expect(connection.join(" ")).toMatch(/^(begin( statement)* (commit|rollback)( rollback)? ?)*$/);
    });

    const soakS = Number(process.env.MEMSEAL_SOAK_S ?? 5);
    it(`shows 1,000 interleaved tenants over 4 connections no foreign row, through exceptions, cancels and nested calls (${soakS} s)`, async () => {
      const { operations, foreignRows, outcomes } = await interleave(test, { tenants: 1_000, connections: 4, seconds: soakS, seed: Number(process.env.MEMSEAL_SOAK_SEED ?? 20261123) });
      console.log(`interleaved on ${name}: ${operations} operations, ${JSON.stringify(outcomes)}`);
      expect(foreignRows).toBe(0);
      // Each kind of trouble was met.
      for (const kind of ["read", "write", "thrown", "failed", "cancelled", "nested", "savepoint", "whole", "killed"]) expect(outcomes[kind]).toBeGreaterThan(0);
    }, (soakS + 120) * 1_000);
  });
}

interface Interleaving {
  tenants: number;
  connections: number;
  seconds: number;
  seed: number;
}

/** Operations of many tenants at once over few connections; what each tenant may see is known all along. */
async function interleave(test: TestDatabase, { tenants, connections, seconds, seed }: Interleaving) {
  const pool = createPool(test.urls.app, log, connections);
  let foreignRows = 0;
  const database = new TenantDatabase(pool, { onForeignRow: () => { foreignRows++; }, onRefused: () => undefined });
  const hashes = Array.from({ length: tenants }, (_tenant, i) => parseUserHash(createHash("sha256").update(`${seed} ${i}`).digest("hex")));
  for (const tenant of hashes) await database.withTenant(tenant, (tx) => tx.query("INSERT INTO memseal.tenant (user_hash) VALUES ($1)", [tx.userHash]));
  /** Committed writes; a tenant that met a killed connection may have one more. */
  const written = new Map<UserHash, number>(hashes.map((tenant) => [tenant, 0]));
  const unsure = new Set<UserHash>();
  const outcomes: Record<string, number> = {};
  const count = (kind: string) => { outcomes[kind] = (outcomes[kind] ?? 0) + 1; };
  const random = mulberry32(seed);
  const deadline = Date.now() + seconds * 1_000;
  let operations = 0;
  let nesting = 0;

  // None of these names its tenant: the policy alone tells them apart.
  const readOwn = async (tx: TenantTransaction) => {
    const { rows } = await tx.query<{ user_hash: Buffer }>("SELECT user_hash, seq FROM memseal.tenant");
    if (rows.length !== 1 || !rows[0].user_hash.equals(tx.userHash)) foreignRows++;
  };
  const write = async (tx: TenantTransaction) => {
    const { rowCount } = await tx.query("UPDATE memseal.tenant SET seq = seq + 1");
    if (rowCount !== 1) foreignRows++;
  };
  const perform = async (tenant: UserHash, dice: number): Promise<void> => {
    const swallow = (kind: string) => () => { count(kind); };
    if (dice < 0.3) {
      await database.withTenant(tenant, readOwn);
      count("read");
    } else if (dice < 0.5) {
      await database.withTenant(tenant, async (tx) => { await write(tx); await readOwn(tx); });
      written.set(tenant, written.get(tenant)! + 1);
      count("write");
    } else if (dice < 0.6) {
      await database.withTenant(tenant, async (tx) => { await write(tx); throw new Error("stop"); }).catch(swallow("thrown"));
    } else if (dice < 0.68) {
      await database.withTenant(tenant, async (tx) => { await write(tx); await tx.query("SELECT 1 / 0"); }).catch(swallow("failed"));
    } else if (dice < 0.76) {
      await database.withTenant(tenant, async (tx) => {
        await tx.query("SAVEPOINT a");
        await write(tx);
        await tx.query("SELECT 1 / 0").catch(() => undefined);
        await tx.query("ROLLBACK TO SAVEPOINT a");
        await readOwn(tx);
      });
      count("savepoint");
    } else if (dice < 0.9) {
      const { rows } = await database.statementsOf(tenant).query<{ user_hash: Buffer }>("SELECT user_hash FROM memseal.tenant");
      if (rows.length !== 1 || rows[0].user_hash.toString("hex") !== tenant) foreignRows++;
      count("whole");
    } else if (dice < 0.98) {
      // Half of the connections at most: outer calls that all wait for an inner one would wait for each other.
      if (nesting >= connections / 2) return;
      nesting++;
      const other = hashes[Math.floor(random() * tenants)];
      await database.withTenant(tenant, async (outer) => {
        await database.withTenant(other, async (inner) => { await readOwn(inner); throw new Error("stop"); }).catch(() => undefined);
        await readOwn(outer);
      }).finally(() => { nesting--; });
      count("nested");
    } else {
      const kill = dice > 0.996;
      if (kill) unsure.add(tenant);
      await database.withTenant(tenant, async (tx) => {
        await write(tx);
        // The statement cancels, or ends, its own backend.
        await tx.query(kill ? "SELECT pg_terminate_backend(pg_backend_pid())" : "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(5)");
      }).catch(swallow(kill ? "killed" : "cancelled"));
    }
    operations++;
  };
  await Promise.all(Array.from({ length: 16 }, async () => {
    while (Date.now() < deadline) await perform(hashes[Math.floor(random() * tenants)], random());
  }));
  await pool.end();
  const rows = await withClient(test.superuser, async (client) => (await client.query<{ tenant: string; seq: string }>("SELECT encode(user_hash, 'hex') AS tenant, seq FROM memseal.tenant")).rows);
  const seqOf = new Map(rows.map(({ tenant, seq }) => [tenant, Number(seq)]));
  for (const [tenant, writes] of written) if (!unsure.has(tenant) && seqOf.get(tenant) !== writes) foreignRows++;
  return { operations, foreignRows, outcomes };
}

/** A small seeded generator, so that a run can be repeated. Source: Tommy Ettinger, public domain. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
