import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensurePrivateDir, RunDir } from "./run-dir.js";

describe("the directory of a run", () => {
  let home: string;
  beforeEach(() => { home = mkdtempSync(join(tmpdir(), "memseal-home-")); });
  afterEach(() => { rmSync(home, { recursive: true }); });

  it("belongs to one process at a time, which the next is told, and to the next once that one stopped", async () => {
    const first = await RunDir.claim(home);
    writeFileSync(join(first.path, "assertion.key"), "of the first");
    await expect(RunDir.claim(home)).rejects.toThrow(`already running on ${home}, pid ${process.pid}`);
    expect(existsSync(join(first.path, "assertion.key"))).toBe(true);
    await first.stop();
    expect(existsSync(first.path)).toBe(false);
    await (await RunDir.claim(home)).stop();
  });

  it("is taken over from a process that was killed", async () => {
    mkdirSync(join(home, "run"));
    // It leaves its socket behind, bound to nothing.
    spawnSync(process.execPath, ["-e", `require("net").createServer().listen(${JSON.stringify(join(home, "run/lock.sock"))}, () => process.kill(process.pid, "SIGKILL"))`]);
    expect(existsSync(join(home, "run/lock.sock"))).toBe(true);
    await (await RunDir.claim(home)).stop();
  });

  it("is elsewhere for a home with a long path, one for each home, and removed at the stop", async () => {
    const long = join(home, "a".repeat(100));
    mkdirSync(long);
    const run = await RunDir.claim(long);
    expect(run.path.startsWith(tmpdir())).toBe(true);
    expect(run.path.startsWith(home)).toBe(false);
    await expect(RunDir.claim(long)).rejects.toThrow("already running");
    await run.stop();
    expect(existsSync(run.path)).toBe(false);
  });

  it("is closed to others also where it was open", () => {
    const dir = join(home, "run");
    mkdirSync(dir);
    chmodSync(dir, 0o755);
    ensurePrivateDir(dir);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });
});
