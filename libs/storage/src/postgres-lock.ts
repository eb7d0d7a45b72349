import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";

/** What a server wrote about itself into postmaster.pid, or into the lock file beside its socket. */
export interface PostgresLock {
  readonly pid: number;
  /** `starting`, `ready`, `stopping`; empty in a socket's lock file and very early. */
  readonly state: string;
}

/** Reads the text of a lock file. Source: LOCK_FILE_LINE_PID and LOCK_FILE_LINE_PM_STATUS in PostgreSQL's miscadmin.h and pidfile.h. */
export function parseLock(text: string): PostgresLock | undefined {
  const lines = text.split("\n");
  const pid = Number.parseInt(lines[0] ?? "", 10);
  return pid > 0 ? { pid, state: lines[7]?.trim() ?? "" } : undefined;
}

/** The lock in a file; undefined when there is none. */
export function readLock(file: string): PostgresLock | undefined {
  try {
    return parseLock(readFileSync(file, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The lock of the server that runs on a data folder now; undefined when none does. */
export function liveServer(data: string): PostgresLock | undefined {
  const lock = readLock(`${data}/postmaster.pid`);
  return lock !== undefined && isServerOf(data, lock.pid) ? lock : undefined;
}

/**
 * Makes a dead server's lock file harmless.
 *
 * PostgreSQL takes a lock for live when any process of its user, even a zombie or a thread, has its number, and
 * refuses to start. Numbers come round soon in a container that is started again after a crash. The number of
 * PostgreSQL's parent is the one it never takes for a rival, so that is what goes in. The rest of the file stays:
 * it names the shared memory by which PostgreSQL notices backends that outlived their server.
 */
export function disownDeadLock(lockFile: string, data: string): void {
  if (readLock(lockFile) === undefined) return;
  // The folder belongs to the server's user, who is not to send root elsewhere through a link.
  const file = openSync(lockFile, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const text = readFileSync(file, "utf8");
    const lock = parseLock(text);
    // PostgreSQL itself replaces the lock of a number that no process has.
    if (lock === undefined || !isAlive(lock.pid) || isServerOf(data, lock.pid)) return;
    ftruncateSync(file, writeSync(file, text.replace(/^\d+/, String(process.pid)), 0));
  } finally {
    closeSync(file);
  }
}

function isServerOf(data: string, pid: number): boolean {
  if (process.platform !== "linux") return isAlive(pid);
  try {
    // Its arguments (-D data) rather than its working directory, which root in a container may not be allowed to read.
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(data);
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
