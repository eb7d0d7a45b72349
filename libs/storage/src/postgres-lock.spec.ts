import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { disownDeadLock, liveServer, parseLock, readLock } from "./postgres-lock.js";

const LOCK = (pid: number, state: string): string => `${pid}\n/data\n1700000000\n5432\n/socket\n\n  5432001    196608\n${state}\n`;

describe("parseLock", () => {
  it("reads number and state of a server", () => {
    expect(parseLock(LOCK(4711, "ready   "))).toEqual({ pid: 4711, state: "ready" });
  });

  it.each(["", "garbage\n", "-12\n"])("sees no server in %j", (text) => {
    expect(parseLock(text)).toBeUndefined();
  });
});

describe("a lock file", () => {
  let data: string;
  let lockFile: string;

  beforeEach(() => {
    data = mkdtempSync(join(tmpdir(), "memseal-lock-"));
    lockFile = join(data, "postmaster.pid");
  });

  afterEach(() => { rmSync(data, { recursive: true }); });

  it("that is not there holds nothing", () => {
    expect(readLock(lockFile)).toBeUndefined();
    expect(() => { disownDeadLock(lockFile, data); }).not.toThrow();
  });

  it("with the number of another program is no live server, and gets our number with all else kept", () => {
    writeFileSync(lockFile, LOCK(process.ppid, "ready   "));
    expect(liveServer(data)).toBeUndefined();
    disownDeadLock(lockFile, data);
    expect(readFileSync(lockFile, "utf8")).toBe(LOCK(process.pid, "ready   "));
  });

  it("is not followed to a file elsewhere", () => {
    const elsewhere = join(data, "elsewhere");
    writeFileSync(elsewhere, LOCK(1, "ready   "));
    symlinkSync(elsewhere, lockFile);
    expect(() => { disownDeadLock(lockFile, data); }).toThrow("ELOOP");
    expect(readFileSync(elsewhere, "utf8")).toBe(LOCK(1, "ready   "));
  });
});
