import { Logger } from "@memseal/telemetry";
import { createPool } from "./pool.js";
import { startTestDatabase } from "./testing.js";

describe("a pool", () => {
  it("tells at each checkout which share of it is in use", async () => {
    const test = await startTestDatabase();
    const uses: number[] = [];
    const pool = createPool(test.urls.app, new Logger("test", () => undefined), 4, { onCheckout: (use) => uses.push(use) });
    try {
      const first = await pool.connect();
      const second = await pool.connect();
      first.release();
      await pool.query("SELECT 1");
      second.release();
      await pool.query("SELECT 1");
      expect(uses).toEqual([0.25, 0.5, 0.5, 0.25]);
    } finally {
      await pool.end();
      await test.stop();
    }
  });
});
