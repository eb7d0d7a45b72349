import { parseUserHash } from "@memseal/crypto";
import { Logger } from "@memseal/telemetry";
import { createPool } from "./pool.js";
import { TenantDatabase } from "./tenant-transaction.js";
import { fillTenant, TENANT_TABLES, testServers, withClient, type TestDatabase } from "./testing.js";

const tenants = ["aa", "bb"].map((byte) => parseUserHash(byte.repeat(32)));

for (const { name, start } of testServers()) {
  (start === undefined ? describe.skip : describe)(`roles on ${name}`, () => {
    let test: TestDatabase;
    beforeAll(async () => {
      test = await start!();
      const pool = createPool(test.urls.app, new Logger("test", () => undefined), 1);
      for (const tenant of tenants) await fillTenant(new TenantDatabase(pool), tenant);
      await pool.end();
    });
    afterAll(() => test.stop());

    it("are none of them superuser, none passes row security, and none but the owner is a member of another", async () => {
      expect(await test.asSuperuser(`
        SELECT rolname FROM pg_roles AS r WHERE rolname LIKE 'memseal\\_%'
          AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolinherit
            OR EXISTS (SELECT FROM pg_auth_members AS m WHERE m.member = r.oid AND m.roleid <> 'memseal_keys'::regrole))`)).toEqual([]);
    });

    it("auth can execute the key lookup and nothing else", async () => {
      await withClient(test.urls.auth, async (auth) => {
        for (const table of [...TENANT_TABLES, "api_key", "key_event", "schema_version"]) {
          await expect(auth.query(`SELECT FROM memseal.${table}`)).rejects.toThrow("permission denied");
        }
        expect((await auth.query("SELECT * FROM memseal.resolve_api_key('k', '\\x00')")).rowCount).toBe(0);
      });
    });

    it("auth is the only login role that can look keys up", async () => {
      for (const role of ["app", "scheduler"] as const) {
        await withClient(test.urls[role], (client) => expect(client.query("SELECT * FROM memseal.resolve_api_key('k', '\\x00')")).rejects.toThrow("permission denied"));
      }
    });

    it("scheduler sees which tenants have work due, and nothing of what they hold", async () => {
      await withClient(test.urls.scheduler, async (scheduler) => {
        const { rows } = await scheduler.query<{ user_hash: Buffer; state: string; next_due_at: Date | null }>("SELECT user_hash, state, next_due_at FROM memseal.tenant ORDER BY 1");
        expect(rows).toEqual(tenants.map((tenant) => ({ user_hash: Buffer.from(tenant, "hex"), state: "active", next_due_at: null })));
        await expect(scheduler.query("SELECT seq FROM memseal.tenant")).rejects.toThrow("permission denied");
        await expect(scheduler.query("UPDATE memseal.tenant SET state = 'erased'")).rejects.toThrow("permission denied");
        for (const table of [...TENANT_TABLES.slice(1), "api_key", "key_event", "schema_version"]) {
          await expect(scheduler.query(`SELECT FROM memseal.${table}`)).rejects.toThrow("permission denied");
        }
      });
    });

    it("app can neither empty nor change tables, nor rewrite what must only grow", async () => {
      await withClient(test.urls.app, async (app) => {
        for (const table of TENANT_TABLES) await expect(app.query(`TRUNCATE memseal.${table}`)).rejects.toThrow("permission denied");
        await expect(app.query("DELETE FROM memseal.tenant")).rejects.toThrow("permission denied");
        await expect(app.query("UPDATE memseal.audit_event SET outcome = 'x'")).rejects.toThrow("permission denied");
        await expect(app.query("DELETE FROM memseal.audit_event")).rejects.toThrow("permission denied");
        await expect(app.query("UPDATE memseal.tenant_key SET wrapped = ''")).rejects.toThrow("permission denied");
        for (const table of ["api_key", "key_event"]) await expect(app.query(`SELECT FROM memseal.${table}`)).rejects.toThrow("permission denied");
        await expect(app.query("ALTER TABLE memseal.memory NO FORCE ROW LEVEL SECURITY")).rejects.toThrow("must be owner");
      });
    });
  });
}
