import { Logger } from "@memseal/telemetry";
import type pg from "pg";
import { createPool } from "./pool.js";
import { SharedConnection } from "./shared-connection.js";
import { testServers, type TestDatabase } from "./testing.js";

for (const { name, start } of testServers()) {
  (start === undefined ? describe.skip : describe)(`a shared connection to ${name}`, () => {
    let test: TestDatabase;
    let pool: pg.Pool;
    let shared: SharedConnection;

    beforeAll(async () => {
      test = await start!();
      pool = createPool(test.urls.auth, new Logger("test", () => undefined), 2);
      shared = new SharedConnection(pool);
    });

    afterAll(async () => {
      await pool.end();
      await test.stop();
    });

    const answer = async (n: number) => (await shared.query<{ n: number; pid: number }>("SELECT $1::int AS n, pg_backend_pid() AS pid", [n])).rows[0];

    it("gives each of fifty statements at once its own answer, over one connection, and gives it back", async () => {
      const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => answer(n)));
      expect(answers.map(({ n }) => n)).toEqual(Array.from({ length: 50 }, (_, n) => n));
      expect(new Set(answers.map(({ pid }) => pid)).size).toBe(1);
      expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
    });

    it("a statement that fails leaves those beside it their answers", async () => {
      const [before, failed, after] = await Promise.allSettled([answer(1), shared.query("SELECT 1 / $1::int", [0]), answer(2)]);
      expect([before, failed, after].map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect((await answer(3)).n).toBe(3);
    });

    it("after its connection was lost the next statement has another", async () => {
      const { pid } = await answer(1);
      const cut = await Promise.allSettled([shared.query("SELECT pg_sleep($1)", [20]), test.asSuperuser(`SELECT pg_terminate_backend(${pid})`)]);
      expect(cut.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
      expect((await answer(2)).pid).not.toBe(pid);
    });

    it("when no connection is to be had all who wait are told, and later ones are served again", async () => {
      const held = await Promise.all([pool.connect(), pool.connect()]);
      const refused = await Promise.allSettled([answer(1), answer(2)]);
      expect(refused.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
      for (const client of held) client.release();
      expect((await answer(3)).n).toBe(3);
      expect(pool.waitingCount).toBe(0);
    });
  });
}
