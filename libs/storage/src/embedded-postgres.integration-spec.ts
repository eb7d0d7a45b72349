import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, chmodSync, chownSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { StartupError } from "@memseal/errors";
import { Logger } from "@memseal/telemetry";
import pg from "pg";
import { EmbeddedPostgres } from "./embedded-postgres.js";
import { LOG_BYTES } from "./postgres-log.js";

const FIXTURE = join(import.meta.dirname, "embedded-postgres.fixture.mjs");
const NOBODY = { uid: 65_534, gid: 65_534 };

const isRoot = process.getuid?.() === 0;
const onLinux = process.platform === "linux" ? it : it.skip;
const asRoot = isRoot ? it : it.skip;
// The checkout and node itself may lie under /root, where no other user goes.
const nobodyRunsNode = isRoot && spawnSync(process.execPath, ["-e", "fs.readFileSync(process.argv[1])", FIXTURE], NOBODY).status === 0;
const asOrdinaryUser = nobodyRunsNode ? it : it.skip;

const quiet = new Logger("test", () => undefined);
const folders: string[] = [];
const servers: EmbeddedPostgres[] = [];

/** A folder of its own; the name has what a path may have and a list of paths may not. */
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "memseal, pg-"));
  folders.push(folder);
  return folder;
}

async function start(dataDir: string, log = quiet): Promise<EmbeddedPostgres> {
  const postgres = await EmbeddedPostgres.start({ dataDir, log });
  servers.push(postgres);
  return postgres;
}

async function query<Row extends pg.QueryResultRow>(postgres: EmbeddedPostgres, sql: string): Promise<Row[]> {
  const client = new pg.Client(postgres.superuser());
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function eventually<T>(attempt: () => T | Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (tries === 300) throw error;
      await sleep(100);
    }
  }
}

/** A zombie is gone: it only waits for its parent to read its exit status. */
function expectGone(pid: number): void {
  const state = existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "")[0] : "gone";
  expect(["gone", "Z"]).toContain(state);
}

/** Starts the fixture; answers with it and the pid of its server. */
async function superviseApart(dataDir: string, user: { uid?: number; gid?: number } = {}, path = process.env.PATH): Promise<{ supervisor: ChildProcess; pid: number }> {
  const supervisor = spawn(process.execPath, [FIXTURE, dataDir], { ...user, env: { ...process.env, PATH: path }, stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: supervisor.stdout });
  const [line] = (await Promise.race([once(lines, "line"), once(lines, "close")])) as [string | undefined];
  expect(Number(line)).toBeGreaterThan(0);
  return { supervisor, pid: Number(line) };
}

/** What every process on this machine shows of itself to those allowed to look. */
function argumentsAndEnvironments(): string[] {
  const read = (file: string): string[] => {
    try {
      return [readFileSync(file, "utf8")];
    } catch {
      return [];
    }
  };
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => [...read(`/proc/${pid}/cmdline`), ...read(`/proc/${pid}/environ`)]);
}

/** Kernel numbers of the sockets that a process holds, and of all TCP sockets. */
function socketsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1])
    .filter((inode) => inode !== undefined);
}
function inodes(table: string, column: number): string[] {
  return readFileSync(table, "utf8").split("\n").slice(1).map((line) => line.trim().split(/\s+/)[column] ?? "");
}

afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe("an embedded database", () => {
  let postgres: EmbeddedPostgres;
  let dataDir: string;

  beforeAll(async () => {
    dataDir = newFolder();
    postgres = await start(dataDir);
  });

  it("answers its superuser", async () => {
    expect(await query(postgres, "select 1 as one, current_user as who")).toEqual([{ one: 1, who: "postgres" }]);
  });

  it("refuses a wrong password", async () => {
    const client = new pg.Client({ ...postgres.superuser(), password: "wrong" });
    await expect(client.connect()).rejects.toMatchObject({ code: "28P01" });
  });

  it("prints no password with its connection settings", () => {
    const password = readFileSync(join(dataDir, "superuser.password"), "utf8");
    expect(JSON.stringify(postgres.superuser())).not.toContain(password);
  });

  onLinux("listens on its Unix socket and on no TCP port", () => {
    const sockets = socketsOf(postgres.pid!);
    expect(inodes("/proc/net/unix", 6)).toEqual(expect.arrayContaining([expect.stringMatching(`^(${sockets.join("|")})$`)]));
    const tcp = [...inodes("/proc/net/tcp", 9), ...inodes("/proc/net/tcp6", 9)];
    expect(sockets.filter((socket) => tcp.includes(socket))).toEqual([]);
  });

  it("keeps its secret and its data to itself", () => {
    const mode = (name: string): number => statSync(join(dataDir, name)).mode & 0o777;
    expect(mode("superuser.password")).toBe(0o600);
    expect(mode("postgres.log")).toBe(0o600);
    expect(mode("socket")).toBe(0o700);
    expect(mode("data")).toBe(0o700);
    expect(mode(".")).toBe(isRoot ? 0o711 : 0o700);
    expect(readdirSync(dataDir).sort()).toEqual(["binaries", "data", "postgres.log", "socket", "superuser.password"]);
  });

  it("stores UTF-8 and sorts it by code point, with checksums on", async () => {
    const rows = await query(postgres, "select pg_encoding_to_char(encoding) as encoding, datlocprovider as provider, current_setting('data_checksums') as checksums from pg_database where datname = 'template1'");
    expect(rows).toEqual([{ encoding: "UTF8", provider: "b", checksums: "on" }]);
  });

  it("writes neither a statement nor a value of a row to its log", async () => {
    const failing = [
      "select 'hunter2'::int",
      "create table hunter2 (name text primary key); insert into hunter2 values ('hunter2'), ('hunter2')",
      "do $$ begin raise warning 'hunter2'; end $$; create role hunter3 password 'hunter2' superuser superuser",
    ];
    for (const sql of failing) await expect(query(postgres, sql)).rejects.toThrow();
    // As services send it: the values apart from the statement.
    const client = new pg.Client(postgres.superuser());
    await client.connect();
    await client.query("create table sealed (id int primary key, cipher bytea check (octet_length(cipher) > 99)); set log_parameter_max_length_on_error = -1");
    await expect(client.query("insert into sealed values ($1, $2)", [1, Buffer.from("hunter2")])).rejects.toThrow("sealed_cipher_check");
    await expect(client.query("insert into sealed values ($1, $2)", ["hunter2", null])).rejects.toThrow("hunter2");
    await client.end();
    const log = readFileSync(join(dataDir, "postgres.log"), "utf8");
    expect(log).toContain("ready to accept connections");
    expect(log).not.toContain("hunter2");
    expect(log).not.toContain(Buffer.from("hunter2").toString("hex"));
  });

  it("shortens its log while it runs, and writes on into it", async () => {
    const file = join(dataDir, "postgres.log");
    appendFileSync(file, "x".repeat(LOG_BYTES));
    await eventually(() => { expect(statSync(file).size).toBeLessThan(1_000); });
    expect(statSync(`${file}.1`)).toMatchObject({ size: LOG_BYTES });
    expect(statSync(`${file}.1`).mode & 0o777).toBe(0o600);

    await expect(new pg.Client({ ...postgres.superuser(), password: "wrong" }).connect()).rejects.toThrow();
    await eventually(() => { expect(readFileSync(file, "utf8")).toContain("password authentication failed"); });
    // A server that did not append would go on at its old place, behind as many NULs.
    expect(readFileSync(file, "utf8")).not.toContain("\0");
  });

  it("keeps the statement that a crashed backend was running out of its log", async () => {
    const client = new pg.Client(postgres.superuser());
    client.on("error", () => undefined);
    await client.connect();
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    const crashed = expect(client.query("select pg_sleep(60), 'hunter2'")).rejects.toThrow();
    await sleep(100);
    process.kill(rows[0].pid, "SIGKILL");
    await crashed;
    const log = await eventually(() => {
      const text = readFileSync(join(dataDir, "postgres.log"), "utf8");
      expect(text).toContain("was terminated by signal 9");
      return text;
    });
    expect(log).not.toContain("hunter2");
    await eventually(() => query(postgres, "select 1"));
  });

  it("refuses a second supervisor and names the process that runs", async () => {
    const second = EmbeddedPostgres.start({ dataDir, log: quiet });
    await expect(second).rejects.toThrow(StartupError);
    await expect(second).rejects.toThrow(`already running, pid ${postgres.pid}`);
    expect(await query(postgres, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("starts again by itself after kill -9, with every committed row", async () => {
    await query(postgres, "create table kept (n int)");
    await query(postgres, "insert into kept select generate_series(1, 1000)");
    const before = postgres.pid!;
    process.kill(before, "SIGKILL");
    expect(await eventually(() => query(postgres, "select count(*)::int as n from kept"))).toEqual([{ n: 1000 }]);
    expect(postgres.pid).not.toBe(before);
  });
});

describe("the life of an embedded database", () => {
  it("ends with stop, and goes on at the next start with what was written", async () => {
    const dataDir = newFolder();
    const first = await start(dataDir);
    await query(first, "create table kept as select 42 as n");
    const { pid } = first;
    await first.stop();
    expect(first.pid).toBeUndefined();
    expectGone(pid!);

    const second = await start(dataDir);
    expect(await query(second, "select n from kept")).toEqual([{ n: 42 }]);
    await second.stop();
  });

  it("has one winner when two start at once", async () => {
    const dataDir = newFolder();
    const both = await Promise.allSettled([start(dataDir), start(dataDir)]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const loser = both.find((result) => result.status === "rejected");
    expect(loser?.reason).toBeInstanceOf(StartupError);
    expect((loser?.reason as Error).message).toContain("already running");
    await servers.at(-1)!.stop();
  });

  onLinux("shows its password in no argument or environment, and gives the server nothing of its own environment", async () => {
    const dataDir = newFolder();
    const seen = new Set<string>();
    const watch = setInterval(() => { for (const text of argumentsAndEnvironments()) seen.add(text); }, 20);
    const postgres = await start(dataDir);
    clearInterval(watch);

    const password = readFileSync(join(dataDir, "superuser.password"), "utf8");
    expect(password).toHaveLength(43);
    expect([...seen].filter((text) => text.includes("--pwfile="))).not.toEqual([]);
    expect([...seen].filter((text) => text.includes(password))).toEqual([]);
    const environment = readFileSync(`/proc/${postgres.pid}/environ`, "utf8").split("\0").filter((line) => line !== "");
    expect(environment.map((line) => line.replace(/=.*/s, "")).sort()).toEqual(["LC_ALL", "PATH", "TZ"]);
    await postgres.stop();
  });

  onLinux("ends with its supervisor when that is killed, and can be started again at once", async () => {
    const dataDir = newFolder();
    const { supervisor, pid } = await superviseApart(dataDir);
    // Begun before the kill: the kernel tells the server a moment after it, on a busy machine many.
    const [again] = await Promise.all([start(dataDir), sleep(300).then(() => supervisor.kill("SIGKILL"))]);
    expectGone(pid);
    expect(await query(again, "select 1 as one")).toEqual([{ one: 1 }]);
    await again.stop();
  });

  onLinux("comes back with every committed row after it and its supervisor are killed together", async () => {
    const dataDir = newFolder();
    const first = await start(dataDir);
    await query(first, "create table kept as select 42 as n");
    await first.stop();
    const { supervisor, pid } = await superviseApart(dataDir);
    process.kill(pid, "SIGSTOP");
    supervisor.kill("SIGKILL");
    process.kill(pid, "SIGKILL");
    await eventually(() => { expectGone(pid); });

    const second = await start(dataDir);
    expect(await query(second, "select n from kept")).toEqual([{ n: 42 }]);
    await second.stop();
  });

  onLinux("starts although another process has the number of the server that was killed", async () => {
    const dataDir = newFolder();
    const first = await start(dataDir);
    const data = join(realpathSync(dataDir), "data");
    const lock = readFileSync(join(data, "postmaster.pid"), "utf8");
    await first.stop();
    // As the server's user: PostgreSQL itself ignores processes of others.
    const bystander = spawn("sleep", ["600"], isRoot ? NOBODY : {});
    const files = [join(data, "postmaster.pid"), join(dataDir, "socket/.s.PGSQL.5432.lock")];
    for (const file of files) {
      writeFileSync(file, lock.replace(/^\d+/, String(bystander.pid)), { mode: 0o600 });
      if (isRoot) chownSync(file, NOBODY.uid, NOBODY.gid);
    }

    const second = await start(dataDir);
    expect(await query(second, "select 1 as one")).toEqual([{ one: 1 }]);
    await second.stop();
    bystander.kill();
  });

  onLinux("starts where there is no setpriv, says what that means, and is stopped by hand after its supervisor was killed", async () => {
    const dataDir = newFolder();
    const lines: string[] = [];
    const { PATH } = process.env;
    process.env.PATH = newFolder();
    const first = await start(dataDir, new Logger("test", (line) => lines.push(line))).finally(() => { process.env.PATH = PATH; });
    expect(lines[0]).toContain("database can outlive this process");
    expect(await query(first, "select 1 as one")).toEqual([{ one: 1 }]);
    await first.stop();

    const { supervisor, pid } = await superviseApart(dataDir, {}, newFolder());
    supervisor.kill("SIGKILL");
    await expect(start(dataDir)).rejects.toThrow(`already running, pid ${pid}: stop the Memseal that started it, or the process itself with kill -INT ${pid}`);
    process.kill(pid, "SIGINT");
    await eventually(() => { expectGone(pid); });
    await (await start(dataDir)).stop();
  });

  it("gives up with an error in the log when the server cannot stay up", async () => {
    const lines: string[] = [];
    const dataDir = newFolder();
    const postgres = await start(dataDir, new Logger("test", (line) => lines.push(line)));
    writeFileSync(join(dataDir, "data/pg_hba.conf"), "not a rule\n");
    process.kill(postgres.pid!, "SIGKILL");
    await eventually(() => { expect(lines.at(-1)).toContain("database is down for good"); });
    expect(lines.at(-1)).toContain("PostgreSQL exited 8 times in a row");
    expect(postgres.pid).toBeUndefined();
    await postgres.stop();
  });

  it("refuses a password file that is not the cluster's", async () => {
    const dataDir = newFolder();
    await (await start(dataDir)).stop();
    writeFileSync(join(dataDir, "superuser.password"), "another");
    await expect(start(dataDir)).rejects.toThrow("refused its superuser");
  });

  it("refuses a cluster of another PostgreSQL release", async () => {
    const dataDir = newFolder();
    await (await start(dataDir)).stop();
    writeFileSync(join(dataDir, "data/PG_VERSION"), "17\n");
    await expect(start(dataDir)).rejects.toThrow("was written by PostgreSQL 17 and this release has 18");
  });

  it("refuses a folder whose socket the system could not bind", async () => {
    const parent = newFolder();
    chmodSync(parent, 0o711);
    await expect(start(join(parent, "x".repeat(90)))).rejects.toThrow("choose a folder with a shorter path");
  });
});

describe("who it runs as", () => {
  asRoot("is an unprivileged user when started by root", async () => {
    const postgres = await start(newFolder());
    expect(readFileSync(`/proc/${postgres.pid}/status`, "utf8")).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(readFileSync(`/proc/${postgres.pid}/status`, "utf8")).toMatch(/^Groups:\s*$/m);
    await postgres.stop();
  });

  asOrdinaryUser("is the user who started it, who needs no privileges", async () => {
    const dataDir = newFolder();
    chownSync(dataDir, NOBODY.uid, NOBODY.gid);
    const { supervisor, pid } = await superviseApart(dataDir, NOBODY);
    expect(statSync(join(dataDir, "superuser.password"))).toMatchObject({ uid: NOBODY.uid });
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    supervisor.kill("SIGKILL");
    await eventually(() => { expectGone(pid); });
  });

  asOrdinaryUser("runs where what an interrupted start left cannot be removed", async () => {
    const dataDir = newFolder();
    const leftover = join(dataDir, "initdb-left", "data");
    mkdirSync(leftover, { recursive: true });
    writeFileSync(join(leftover, "PG_VERSION"), "18\n");
    chownSync(dataDir, NOBODY.uid, NOBODY.gid);
    const { supervisor, pid } = await superviseApart(dataDir, NOBODY);
    expect(existsSync(leftover)).toBe(true);
    supervisor.kill("SIGKILL");
    await eventually(() => { expectGone(pid); });
  });

  asOrdinaryUser("refuses root a folder that another user's database is in", async () => {
    const dataDir = newFolder();
    chownSync(dataDir, NOBODY.uid, NOBODY.gid);
    await expect(start(dataDir)).rejects.toThrow(`belongs to user ${NOBODY.uid}`);
  });

  asRoot("finds another place when the folder's parent is closed, and leaves a link to it", async () => {
    const home = newFolder();
    chmodSync(home, 0o700);
    const dataDir = join(home, "postgres");
    const first = await start(dataDir);
    const place = realpathSync(dataDir);
    folders.push(place);
    expect(lstatSync(dataDir).isSymbolicLink()).toBe(true);
    expect(place).toMatch(/^\/var\/lib\/memseal\/postgres-/);
    expect(statSync(home).mode & 0o777).toBe(0o700);
    await query(first, "create table kept as select 42 as n");
    await first.stop();

    const second = await start(dataDir);
    expect(await query(second, "select n from kept")).toEqual([{ n: 42 }]);
    await second.stop();

    rmSync(place, { recursive: true });
    await expect(start(dataDir)).rejects.toThrow("points to a folder that is gone");
  });
});
