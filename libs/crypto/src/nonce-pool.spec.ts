import { execFileSync } from "node:child_process";
import { NoncePool } from "./nonce-pool.js";

const hex = (nonce: Uint8Array) => Buffer.from(nonce).toString("hex");

describe("NoncePool", () => {
  it("gives each nonce out once, across many fills", () => {
    const pool = new NoncePool();
    expect(new Set(Array.from({ length: 20_000 }, () => hex(pool.next()))).size).toBe(20_000);
  });

  it("throws away what is left after a second: a clone of the machine would give it out, too", () => {
    let now = 0;
    const fills: number[] = [];
    const pool = new NoncePool(() => now, (bytes) => { bytes.fill(fills.push(now)); });
    expect(hex(pool.next())).toBe("01".repeat(12));
    now = 1_000;
    expect(hex(pool.next())).toBe("01".repeat(12));
    now = 1_001;
    expect(hex(pool.next())).toBe("02".repeat(12));
    expect(fills).toEqual([0, 1_001]);
  });

  it("gives out copies: a nonce stays as it is when the pool is filled again", () => {
    const pool = new NoncePool();
    const first = pool.next();
    const before = hex(first);
    for (let i = 0; i < 2_000; i++) pool.next();
    expect(hex(first)).toBe(before);
  });

  it("is one a thread: workers started together give out no nonce twice", () => {
    const script = new URL("nonce-threads.fixture.mjs", import.meta.url).pathname;
    const answer = execFileSync(process.execPath, ["--conditions=@memseal/source", "--import", "tsx", script], { encoding: "utf8" });
    expect(JSON.parse(answer)).toEqual({ given: 15_000, different: 15_000 });
  });
});
