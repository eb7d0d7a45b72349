import { randomBytes } from "node:crypto";
import { parseUserHash } from "@memseal/crypto";
import { Logger } from "@memseal/telemetry";
import pg from "pg";
import { AuditStore } from "./audit-store.js";
import { IdempotencyStore } from "./idempotency-store.js";
import { MaintenanceStore } from "./maintenance-store.js";
import { MemoryStore } from "./memory-store.js";
import { createPool } from "./pool.js";
import { TenantDatabase } from "./tenant-transaction.js";
import { fillTenant, startTestDatabase, withClient } from "./testing.js";
import { WireTap } from "./wire-tap.fixture.js";

const tenant = parseUserHash("aa".repeat(32));
const ID = "01900000-0000-7000-8000-000000000000";

it("finds the rows of each read in an index, by more than the tenant and in its order, on tables that nobody has analyzed", async () => {
  const test = await startTestDatabase();
  const client = new pg.Client(test.urls.app);
  const tap = await WireTap.before({ host: client.host, port: client.port, user: client.user, password: client.password ?? "", database: client.database });
  const { user, password, host, port, database: name } = tap.config;
  const pool = createPool(`postgres://${user}:${String(password)}@${host}:${port}/${name}`, new Logger("test", () => undefined), 1);
  try {
    const database = new TenantDatabase(pool);
    await fillTenant(database, tenant);
    // Not so few that any index is as good as another.
    const bytes = Buffer.from(tenant, "hex");
    await test.asSuperuser(`INSERT INTO memseal.memory (user_hash, id, seq, row_version, text_cipher, meta_cipher, created_at, updated_at)
      SELECT $1, gen_random_uuid(), n, 1, '\\x00', '\\x00', now(), now() FROM generate_series(10, 20009) AS n`, [bytes]);
    await test.asSuperuser(`INSERT INTO memseal.chunk (user_hash, generation, memory_id, chunk_no, seq, row_version, emb_cipher)
      SELECT user_hash, 1, id, 0, seq, 1, '\\x00' FROM memseal.memory WHERE user_hash = $1 AND seq >= 10`, [bytes]);
    const memories = new MemoryStore();
    const refs = [randomBytes(32)];
    await database.withTenant(tenant, async (tx) => {
      await memories.readMemories(tx, [ID]);
      await memories.readVersions(tx, [ID]);
      await memories.listMemories(tx, { before: undefined, limit: 10 });
      await memories.findByRefs(tx, { keyRefs: refs, contentRefs: refs });
      await memories.lastPositions(tx, refs);
      await memories.readOlderVersions(tx, ID);
      await memories.readChunks(tx, { id: ID, generation: 1 });
      await memories.readChanges(tx, { afterSeq: 0, generation: 1, deletedSince: 0, limit: 256 });
      await new AuditStore().last(tx);
      await new AuditStore().list(tx, { before: undefined, limit: 10 });
      await new IdempotencyStore().read(tx, refs[0]);
      await new MaintenanceStore().expiredIds(tx, 500);
    });
    const reads = new Set(tap.sent.flat().filter((sql) => /^\s*SELECT/.test(sql) && /\$2/.test(sql)));
    expect(reads.size).toBeGreaterThanOrEqual(11);
    const settings = (await pool.query<{ name: string; setting: string }>("SELECT name, setting FROM pg_settings WHERE name IN ('enable_seqscan', 'enable_bitmapscan', 'plan_cache_mode')")).rows;
    expect(Object.fromEntries(settings.map(({ name: key, setting }) => [key, setting]))).toEqual({ enable_seqscan: "off", enable_bitmapscan: "off", plan_cache_mode: "force_generic_plan" });
    await withClient(test.superuser, async (superuser) => {
      for (const { name: key, setting } of settings) await superuser.query(`SET ${key} = ${setting}`);
      for (const sql of reads) {
        const plan = (await superuser.query<{ "QUERY PLAN": string }>(`EXPLAIN (GENERIC_PLAN) ${sql}`)).rows.map((row) => row["QUERY PLAN"]).join("\n");
        expect(plan).not.toMatch(/Seq Scan/);
        // Of chunks that were found already, and of two lookups in one; never of a tenant's memories.
        if (!/ chunk_no$|UNION/.test(sql)) expect(plan).not.toMatch(/Sort/);
        for (const [scan] of plan.matchAll(/Index (Only )?Scan.* on (memory|chunk)\b[^]*?Index Cond:.*/g)) expect(scan).toMatch(/ AND /);
      }
    });
  } finally {
    await pool.end();
    await tap.stop();
    await test.stop();
  }
});
