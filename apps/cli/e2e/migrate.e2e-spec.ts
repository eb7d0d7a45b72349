import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startTestDatabase, type EmbeddedTestDatabase } from "@memseal/storage/testing";
import { appScript, runToExit } from "@memseal/transport/testing";
import pg from "pg";

const CLI = appScript("cli");
const UNFORCED = "SELECT relname FROM pg_class WHERE relnamespace = 'memseal'::regnamespace AND relrowsecurity AND NOT relforcerowsecurity";

let database: EmbeddedTestDatabase;

beforeAll(async () => { database = await startTestDatabase(); });
afterAll(() => database.stop());

beforeEach(async () => {
  await database.asSuperuser("DROP SCHEMA memseal CASCADE");
  await migrate("up");
});

const migrate = (...args: string[]) => runToExit(CLI, { DATABASE_OWNER_URL: database.urls.owner }, ["migrate", ...args]);

const insertVersion = () =>
  database.asSuperuser("INSERT INTO memseal.memory_version VALUES (decode(repeat('ab', 32), 'hex'), gen_random_uuid(), 1, 'create', 'text', 'meta', now())");

describe("memseal migrate", () => {
  it("goes down and up again and says where it is", async () => {
    expect(await migrate("down")).toEqual({ code: 0, lines: ["the database is at schema 3"] });
    expect(await migrate("up")).toEqual({ code: 0, lines: ["applied 4", "the database is at schema 4"] });
    expect(await migrate("up")).toEqual({ code: 0, lines: ["the database is at schema 4"] });
  });

  it("says in status what is applied, which services can run, and by its exit code whether something is missing", async () => {
    const whole = await migrate("status");
    expect(whole.code).toBe(0);
    expect(whole.lines.slice(0, 5)).toEqual([
      "number  min_service  applied_at",
      expect.stringMatching(/^1 {7}1 {12}\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      expect.stringMatching(/^2 {7}1 {12}\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      expect.stringMatching(/^3 {7}1 {12}\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      expect.stringMatching(/^4 {7}1 {12}\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    ]);
    expect(whole.lines.slice(5)).toEqual([
      "",
      "the database is at schema 4; this release has migrations up to 4",
      "services built for schema 1 to 4 run on it",
      "services of this release are built for schema 4 and run on it",
    ]);

    await migrate("down");
    const behind = await migrate("status");
    expect(behind.code).toBe(3);
    expect(behind.lines).toEqual(expect.arrayContaining(["4       1            not applied", "services of this release are built for schema 4 and do not start on it"]));

    await migrate("down", "--to", "0");
    const empty = await migrate("status");
    expect(empty.code).toBe(3);
    expect(empty.lines).toContain("the database is at schema 0; this release has migrations up to 4");
  });

  it("knows a database that a newer release made", async () => {
    await database.asSuperuser("INSERT INTO memseal.schema_version (number, min_service) VALUES (5, 4), (6, 5)");
    const { code, lines } = await migrate("status");
    expect(code).toBe(4);
    expect(lines).toEqual(expect.arrayContaining(["services built for schema 5 to 6 run on it", "services of this release are built for schema 4 and do not start on it"]));
    expect((await migrate("up")).code).toBe(0);
    expect(await migrate("down")).toEqual({ code: 1, lines: [expect.stringContaining("at schema 6 and this release knows only 4")] });
  });

  it("answers in JSON, too", async () => {
    const status = await migrate("status", "--json");
    const at = expect.stringMatching(/Z$/) as string;
    expect(JSON.parse(status.lines[0])).toEqual({
      schema: 4, newest: 4, services: { min: 1, max: 4 }, release: 4,
      migrations: [1, 2, 3, 4].map((number) => ({ number, min_service: 1, applied_at: at })),
    });
    await insertVersion();
    expect((await migrate("down", "--to", "0", "--destroy-data", "--json")).lines).toEqual(['{"lost":[{"table":"memory_version","rows":1}],"schema":0}']);
    expect((await migrate("up", "--to", "1", "--json")).lines).toEqual(['{"applied":[1],"schema":1}']);
    expect(JSON.parse((await migrate("status", "--json")).lines[0])).toMatchObject({ schema: 1, services: { min: 1, max: 1 }, migrations: [{ number: 1 }, { number: 2, applied_at: null }, { number: 3, applied_at: null }, { number: 4, applied_at: null }] });
  });

  it("refuses to lose rows in one line, until told to", async () => {
    await insertVersion();
    expect(await migrate("down", "--to", "1")).toEqual({ code: 1, lines: ["memseal: going down to schema 1 would lose 1 row of memory_version: to lose them for good, add --destroy-data"] });
    expect(await migrate("down", "--to", "1", "--destroy-data")).toEqual({ code: 0, lines: ["destroyed 1 row of memory_version", "the database is at schema 1"] });
  });

  it("applies each migration once when two processes start at the same time", async () => {
    await migrate("down", "--to", "0");
    const both = await Promise.all([migrate("up"), migrate("up")]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(both.flatMap(({ lines }) => lines).sort()).toEqual(["applied 1", "applied 2", "applied 3", "applied 4", "the database is at schema 4", "the database is at schema 4"]);
  });

  it("leaves everything as it was when it is killed in the middle of a way down", async () => {
    await insertVersion();
    const holder = new pg.Client({ connectionString: database.urls.owner });
    await holder.connect();
    await holder.query("BEGIN; LOCK TABLE memseal.audit_event IN ACCESS SHARE MODE");
    const child = spawn(process.execPath, [CLI, "migrate", "down", "--to", "1", "--destroy-data"], { env: { PATH: process.env.PATH, DATABASE_OWNER_URL: database.urls.owner }, stdio: "ignore" });
    // The table comes last of three, so FORCE is gone from the others in this transaction by now.
    const waiting = "SELECT pid FROM pg_locks WHERE relation = 'memseal.audit_event'::regclass AND NOT granted";
    while ((await database.asSuperuser(waiting)).length === 0) await sleep(20);
    expect(await database.asSuperuser("SELECT mode FROM pg_locks WHERE relation = 'memseal.memory_version'::regclass AND mode = 'AccessExclusiveLock' AND granted")).toHaveLength(1);
    child.kill("SIGKILL");
    await holder.query("COMMIT");
    await holder.end();

    // Waits for the server to notice: the lock is that of the connection.
    expect((await migrate("up")).lines).toEqual(["the database is at schema 4"]);
    expect(await database.asSuperuser(UNFORCED)).toEqual([]);
    expect(await database.asSuperuser("SELECT event FROM memseal.memory_version")).toEqual([{ event: "create" }]);
  });

  it("finds the embedded database of a home", async () => {
    const home = mkdtempSync(join(tmpdir(), "memseal-cli-"));
    symlinkSync(database.dir, join(home, "postgres"));
    expect((await runToExit(CLI, { MEMSEAL_HOME: home }, ["migrate", "status"])).code).toBe(0);
    rmSync(home, { recursive: true });
  });

  it("says in one line what is wrong with the database's address, and keeps its password to itself", async () => {
    const away = await runToExit(CLI, { DATABASE_OWNER_URL: "postgres://memseal_owner:hunter2@127.0.0.1:1/memseal" }, ["migrate", "status"]);
    expect(away).toEqual({ code: 1, lines: ["memseal: the database cannot be reached as its owner: check DATABASE_OWNER_URL, and that the database runs"] });
    const nonsense = await runToExit(CLI, { DATABASE_OWNER_URL: "hunter2" }, ["migrate", "up"]);
    expect(nonsense).toEqual({ code: 1, lines: [expect.stringContaining("check DATABASE_OWNER_URL")] });
    expect(nonsense.lines[0]).not.toContain("hunter2");
    const app = await runToExit(CLI, { DATABASE_OWNER_URL: database.urls.app }, ["migrate", "up"]);
    expect(app).toEqual({ code: 1, lines: [expect.stringContaining("names memseal_app: connect as memseal_owner")] });
  });
});
