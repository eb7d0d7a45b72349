// Where test runs keep the files of their databases and services, away from the disk where that is possible.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const IN_MEMORY = "/dev/shm";
/** Room for a copy of the workspace, a few databases and a heap dump, with as much memory left for who uses them. */
const NEEDED_BYTES = 6 * 2 ** 30;

/**
 * Runs `work` with a TMPDIR of its own, which it removes at the end; inside another such call, in that one's. A database waits
 * for its disk at every commit, and the tests make and drop a hundred of them: in memory that is a tenth of the time.
 * work: given the environment for its processes
 */
export async function withScratch(work) {
  if (process.env.MEMSEAL_TEST_SCRATCH !== undefined) return work(process.env);
  // The temporary folder of macOS is so long a path that no Unix socket fits below it.
  const base = hasRoom(IN_MEMORY) ? IN_MEMORY : process.platform === "darwin" ? "/tmp" : tmpdir();
  removeAbandoned(base);
  const dir = mkdtempSync(join(base, `memseal-${process.pid}-`));
  // As other temporary folders are: PostgreSQL runs as another user when this runs as root.
  chmodSync(dir, 0o1777);
  try {
    return await work({ ...process.env, TMPDIR: dir, MEMSEAL_TEST_SCRATCH: dir });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Whether programs can lie and run there: in many containers it holds 64 MB, or no programs. */
function hasRoom(dir) {
  if (!existsSync(dir)) return false;
  const { bavail, bsize } = statfsSync(dir);
  if (Math.min(bavail * bsize, process.availableMemory()) < NEEDED_BYTES) return false;
  const probe = join(dir, `memseal-probe-${process.pid}`);
  try {
    writeFileSync(probe, "#!/bin/sh\n", { mode: 0o700 });
    return spawnSync(probe).status === 0;
  } catch {
    return false;
  } finally {
    rmSync(probe, { force: true });
  }
}

/** What runs that were killed left behind: in memory nobody else would. */
function removeAbandoned(base) {
  for (const name of readdirSync(base)) {
    const pid = /^memseal-(\d+)-\w{6}$/.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(base, name), { recursive: true, force: true });
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch ({ code }) {
    return code !== "ESRCH";
  }
}
