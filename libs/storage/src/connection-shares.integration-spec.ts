import { setTimeout as delay } from "node:timers/promises";
import { parseUserHash, type UserHash } from "@memseal/crypto";
import { Logger } from "@memseal/telemetry";
import type pg from "pg";
import { createPool } from "./pool.js";
import { TenantStore } from "./tenant-store.js";
import { TenantDatabase } from "./tenant-transaction.js";
import { fillTenant, testServers, withClient, type TestDatabase } from "./testing.js";

const CONNECTIONS = 16;
/** Well below what a refused call would have waited. */
const AT_ONCE_MS = 1_000;
const [alice, bob, ...others] = ["aa", "bb", "cc", "dd", "ee"].map((byte) => parseUserHash(byte.repeat(32)));

for (const { name, start } of testServers()) {
  (start === undefined ? describe.skip : describe)(`while statements of one tenant do not end, on ${name}`, () => {
    let test: TestDatabase;
    let pool: pg.Pool;
    let database: TenantDatabase;
    const tenants = new TenantStore();

    beforeAll(async () => {
      test = await start!();
      pool = createPool(test.urls.app, new Logger("test", () => undefined), CONNECTIONS);
      database = new TenantDatabase(pool);
      for (const tenant of [alice, bob, ...others]) await fillTenant(database, tenant);
    });

    afterAll(async () => {
      await pool.end();
      await test.stop();
    });

    const wait = (tenant: UserHash, by = database) => {
      const own = by.statementsOf(tenant);
      return own.query("SELECT user_hash FROM memseal.tenant WHERE user_hash = $1 FOR UPDATE", [own.userHash]);
    };
    const lockWaits = async () => {
      const [{ count }] = await test.asSuperuser<{ count: string }>("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
      return Number(count);
    };
    /** Runs `work` while so many statements of locked tenants wait for their rows; they end after it. */
    const whileLocked = (waits: number, work: () => Promise<void>) => withClient(test.superuser, async (client) => {
      await client.query("BEGIN");
      await client.query("SELECT FROM memseal.tenant WHERE user_hash <> $1 FOR UPDATE", [Buffer.from(bob, "hex")]);
      const working = work();
      // Within the time that a call waits for a connection: those that wait are served once the lock is gone.
      while ((await lockWaits()) < waits) await delay(5);
      await working;
      await client.query("COMMIT");
    });
    const timeMs = async (work: () => Promise<unknown>) => {
      const begun = performance.now();
      await work();
      return performance.now() - begun;
    };

    it("another's are answered at once, and its own wait for half of the connections", async () => {
      let slow: Promise<unknown>[] = [];
      await whileLocked(CONNECTIONS / 2, async () => {
        slow = Array.from({ length: 50 }, () => wait(alice));
        for (let i = 0; i < 20; i++) expect(await timeMs(() => tenants.readState(database, bob))).toBeLessThan(AT_ONCE_MS);
        expect(await lockWaits()).toBeLessThanOrEqual(CONNECTIONS / 2);
      });
      expect(await Promise.all(slow)).toHaveLength(50);
    });

    it("and of three more that do the same, another's are still answered at once", async () => {
      let slow: Promise<unknown>[] = [];
      await whileLocked(15, async () => {
        slow = [alice, ...others].flatMap((tenant) => Array.from({ length: 20 }, () => wait(tenant)));
        for (let i = 0; i < 20; i++) expect(await timeMs(() => tenants.readState(database, bob))).toBeLessThan(AT_ONCE_MS);
      });
      expect(await Promise.all(slow)).toHaveLength(80);
    });

    it("its own write has the next connection, and a call whose caller leaves has none", async () => {
      const caller = new AbortController();
      const order: string[] = [];
      const begin = (what: string, goesFirst = false, by = database) => by.withTenant(alice, () => { order.push(what); return Promise.resolve(); }, { goesFirst });
      let all: Promise<unknown>[] = [];
      await whileLocked(CONNECTIONS / 2 - 1, async () => {
        const slow = Array.from({ length: CONNECTIONS / 2 }, () => wait(alice).catch(() => undefined));
        while ((await lockWaits()) < CONNECTIONS / 2) await delay(5);
        const left = begin("left", false, database.until({ deadlineMs: Infinity, signal: caller.signal }));
        const [read, write] = [begin("read"), begin("write", true)];
        caller.abort();
        await expect(left).rejects.toMatchObject({ code: "cancelled" });
        // One connection comes back.
        await test.asSuperuser("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' LIMIT 1");
        await write;
        all = [...slow, read];
      });
      await Promise.all(all);
      expect(order).toEqual(["write", "read"]);
    });

    it("and are cancelled, or lose their connection, the tenant has its share again", async () => {
      for (const end of ["pg_cancel_backend", "pg_terminate_backend"]) {
        let slow: Promise<unknown>[] = [];
        await whileLocked(CONNECTIONS / 2, async () => {
          slow = Array.from({ length: CONNECTIONS / 2 }, () => wait(alice).catch(() => undefined));
          while ((await lockWaits()) < CONNECTIONS / 2) await delay(5);
          await test.asSuperuser(`SELECT ${end}(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'`);
          await Promise.all(slow);
          slow = Array.from({ length: CONNECTIONS / 2 }, () => wait(alice));
        });
        expect(await Promise.all(slow)).toHaveLength(CONNECTIONS / 2);
      }
    });
  });
}
