import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startTestDatabase, type TestDatabase } from "@memseal/storage/testing";
import { runToExit } from "@memseal/transport/testing";

const CLI = fileURLToPath(new URL("../dist/main.js", import.meta.url));

let home: string;
let database: TestDatabase;

beforeAll(async () => {
  database = await startTestDatabase();
  home = mkdtempSync(join(tmpdir(), "memseal-cli-"));
  mkdirSync(join(home, "secrets"));
  for (const name of ["tenant.secret", "api-key.pepper"]) writeFileSync(join(home, "secrets", name), randomBytes(32), { mode: 0o600 });
});

afterAll(async () => {
  rmSync(home, { recursive: true });
  await database.stop();
});

const keys = (...args: string[]) => runToExit(CLI, { MEMSEAL_HOME: home, DATABASE_OWNER_URL: database.urls.owner }, ["keys", ...args]);

describe("memseal keys create", () => {
  it("prints a new key each time and keeps no secret and no user id of it", async () => {
    const { code, lines } = await keys("create", "--user", "zebrafinch");
    const again = await keys("create", "--user", "zebrafinch", "--scopes", "read");
    expect([code, again.code]).toEqual([0, 0]);
    expect(lines).toEqual([expect.stringMatching(/^msk_[A-Za-z0-9]{12}_[A-Za-z0-9_-]{43}$/)]);
    expect(again.lines).not.toEqual(lines);
    const rows = await database.asSuperuser<{ key_id: string; user_hash: Buffer; scopes: string[] }>("SELECT * FROM memseal.api_key ORDER BY created_at");
    expect(rows.map(({ scopes }) => scopes)).toEqual([["read", "write"], ["read"]]);
    expect(rows[0].user_hash.equals(rows[1].user_hash)).toBe(true);
    const secret = lines[0].slice(17);
    for (const kept of [JSON.stringify(rows), Buffer.concat(rows.map(({ user_hash: hash }) => hash)).toString("latin1")]) {
      expect(kept).not.toContain("zebrafinch");
      expect(kept).not.toContain(secret);
    }
  });

  it.each([
    [[], "No command specified."],
    [["create"], "Missing required argument: --user"],
    [["create", "--user", "a", "--scopes", "read,root"], "--scopes: are read and write"],
    [["create", "--user", "a", "--admin"], "Unknown option '--admin'"],
    [["create", "--user", ""], "user_id: must not be empty"],
  ])("refuses %j in one clear line", async (args, reason) => {
    const { code, lines } = await keys(...args);
    expect(code).toBe(2);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(reason);
  });

  it("says what to do when no database was started", async () => {
    const { code, lines } = await runToExit(CLI, { MEMSEAL_HOME: home }, ["keys", "create", "--user", "a"]);
    expect(code).toBe(1);
    expect(lines[0]).toContain("start Memseal first, or set DATABASE_OWNER_URL");
  });

  it("says what to do when the owner's database is away or refuses", async () => {
    const { code, lines } = await runToExit(CLI, { MEMSEAL_HOME: home, DATABASE_OWNER_URL: "postgres://memseal_owner:wrong@127.0.0.1:1/memseal" }, ["keys", "create", "--user", "a"]);
    expect(code).toBe(1);
    expect(lines[0]).toContain("database cannot be reached");
    expect(lines[0]).not.toContain("wrong");
  });

  it("refuses a pepper that others can read", async () => {
    const pepper = join(home, "secrets/api-key.pepper");
    chmodSync(pepper, 0o644);
    const { code, lines } = await keys("create", "--user", "a");
    chmodSync(pepper, 0o600);
    expect(code).toBe(1);
    expect(lines[0]).toContain("chmod 600");
  });
});
