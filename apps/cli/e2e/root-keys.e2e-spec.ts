import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseUserHash, type UserHash } from "@memseal/crypto";
import { FileRootKeys, TenantKeys } from "@memseal/keys";
import { createPool, TenantDatabase, TenantKeyStore, TenantStore } from "@memseal/storage";
import { startTestDatabase, type TestDatabase } from "@memseal/storage/testing";
import { Logger } from "@memseal/telemetry";
import { runToExit } from "@memseal/transport/testing";
import type pg from "pg";

const CLI = fileURLToPath(new URL("../dist/main.js", import.meta.url));
/** Two batches: a rotation that is killed after the first has some left. */
const TENANTS = 150;

let home: string;
let rootKey: string;
let test: TestDatabase;
let pool: pg.Pool;
let database: TenantDatabase;

beforeAll(async () => {
  test = await startTestDatabase();
  pool = createPool(test.urls.app, new Logger("test", () => undefined), 8);
  database = new TenantDatabase(pool);
  home = mkdtempSync(join(tmpdir(), "memseal-cli-"));
  mkdirSync(join(home, "secrets"));
  for (const name of ["root.key", "tenant.secret", "api-key.pepper"]) writeFileSync(join(home, "secrets", name), randomBytes(32), { mode: 0o600 });
  rootKey = join(home, "secrets", "root.key");
});

afterAll(async () => {
  rmSync(home, { recursive: true });
  await pool.end();
  await test.stop();
});

const env = () => ({ MEMSEAL_HOME: home, DATABASE_OWNER_URL: test.urls.owner, DATABASE_SCHEDULER_URL: test.urls.scheduler });
const keys = (...args: string[]) => runToExit(CLI, env(), ["keys", ...args]);
const json = async (...args: string[]) => JSON.parse((await keys(...args, "--json")).lines[0]) as Record<string, unknown>;
/** As a process has them that cached none. */
const cold = (roots: FileRootKeys) => new TenantKeys(new TenantKeyStore(database), roots);

async function newTenant(keysOf: TenantKeys): Promise<UserHash> {
  const tenant = parseUserHash(randomBytes(32).toString("hex"));
  const wrapped = await keysOf.wrapFirst(tenant);
  await database.withTenant(tenant, (tx) => new TenantStore().open(tx, wrapped, { model: "m", dimension: 3, chunker: "c" }));
  return tenant;
}

async function countNotOf(id: string): Promise<number> {
  return Number((await test.asSuperuser<{ count: string }>("SELECT count(*) FROM memseal.tenant_key WHERE root_key_id <> $1", [id]))[0].count);
}

describe("memseal keys rotate-root and destroy-root", () => {
  it("killed in the middle, end at the next call; every user's keys open all the while, in a process that ran before, too", async () => {
    const running = FileRootKeys.open(rootKey);
    const first = running.current().id;
    const tenants: UserHash[] = [];
    const maker = cold(running);
    while (tenants.length < TENANTS) tenants.push(await newTenant(maker));

    let isOver = false;
    let opened = 0;
    const reading = (async () => {
      while (!isOver) {
        await cold(running).get(tenants[Math.floor(Math.random() * TENANTS)], 0);
        opened++;
      }
    })();
    // Killed as soon as something is rewrapped.
    const child = spawn(process.execPath, [CLI, "keys", "rotate-root"], { env: { ...process.env, ...env() }, stdio: "ignore" });
    const exited = once(child, "exit");
    while ((await countNotOf(first)) === 0 && child.exitCode === null) await delay(5);
    child.kill("SIGKILL");
    await exited;
    const left = 2 * TENANTS - (await countNotOf(first));
    expect(left).toBeGreaterThan(0);

    const early = await keys("destroy-root", "1");
    expect(early).toEqual({ code: 1, lines: [expect.stringContaining(`${left} tenant keys are still wrapped by root key version 1`)] });
    expect(existsSync(rootKey)).toBe(true);
    const rotated = await json("rotate-root");
    expect(rotated).toMatchObject({ version: 2, made: false, rewrapped: left, unopened: 0 });
    expect(await countNotOf(String(rotated["root_key_id"]))).toBe(0);

    expect(await json("destroy-root", "1")).toMatchObject({ version: 1, root_key_id: first, destroyed_at: expect.any(String) as string });
    isOver = true;
    await reading;
    expect(opened).toBeGreaterThan(0);
    expect(existsSync(rootKey)).toBe(false);
    const after = cold(FileRootKeys.open(rootKey));
    for (const tenant of tenants) await after.get(tenant, 0);
    expect((await keys("roots")).lines.join("\n")).toMatch(/2 .+ here .+\n1 .+ - .+Z/);
  });

  it("take part in what else works with the root key: keys are made, listed and audited after it", async () => {
    expect((await keys("create", "--user", "ann")).code).toBe(0);
    expect((await keys("rotate-root")).lines).toEqual([`made root key version 3 in ${rootKey}.v3: back it up`, `wrapped ${2 * TENANTS} tenant keys by root key version 3`]);
    expect((await keys("audit")).lines.at(-1)).toBe("the chain is whole");
    expect((await keys("destroy-root", "2")).code).toBe(0);
    expect(await json("list")).toMatchObject([{ state: "active" }]);
  });

  it.each([
    [["destroy-root", "two"], 2, "takes the number of a version"],
    [["destroy-root", "3"], 1, "is the one that wraps"],
    [["destroy-root", "9"], 1, "root key version 9 not found"],
    [["rotate-root", "--prepare", "--resume"], 2, "not both"],
  ] as const)("refuse %j", async (args, code, says) => {
    expect(await keys(...args)).toEqual({ code, lines: [expect.stringContaining(says)] });
  });
});
