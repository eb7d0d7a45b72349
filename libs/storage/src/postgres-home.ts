import { execFile } from "node:child_process";
import { chmod, lstat, mkdir, mkdtemp, readFile, realpath, rm, rmdir, stat, symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { StartupError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";

const run = promisify(execFile);

/** Where root's database goes when the folder asked for is closed to the server's user. */
const SHARED_STATE = "/var/lib/memseal";

/** The unprivileged user that the server runs as when we are root, which postgres refuses to be. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

export interface PostgresHome {
  /** Absolute and free of symbolic links; ours, and closed to other users save for passing through as root. */
  readonly folder: string;
  /** Undefined: the server runs as the user we are. */
  readonly user: ServerUser | undefined;
}

/**
 * Makes the folder of an embedded database, or opens the one there is.
 * @throws StartupError when it cannot be used; the message says what to change.
 */
export async function openHome(dataDir: string, log: Logger): Promise<PostgresHome> {
  const path = resolve(dataDir);
  await assertNotDangling(path);
  if (process.getuid?.() !== 0) {
    return { folder: await makeOwnFolder(path, 0o700), user: undefined };
  }
  const user = nobody(await readFile("/etc/passwd", "utf8"));
  // 0711: the server's user passes through to its own folders and can list nothing; the secrets here are 0600.
  const folder = await makeOwnFolder(path, 0o711);
  if (await canEnter(user, folder)) return { folder, user };
  const moved = await moveToSharedState(path, user);
  log.warn("database folder placed elsewhere", { address: moved, reason: `the parents of ${path} are closed to the user nobody, which PostgreSQL runs as` });
  return { folder: moved, user };
}

/** The user `nobody` of a passwd file. Source: passwd(5). @throws StartupError */
export function nobody(passwd: string): ServerUser {
  const fields = passwd.split("\n").map((line) => line.split(":")).find(([name]) => name === "nobody");
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  // initdb looks its own user up by name, so a bare number would not do.
  if (!(uid > 0 && gid > 0)) {
    throw new StartupError("PostgreSQL does not run as root and this machine has no user `nobody`: start as an ordinary user, or set DATABASE_URL");
  }
  return { uid, gid };
}

/** A link to a folder that is gone means a lost database: an empty one in its place would hide that. */
async function assertNotDangling(path: string): Promise<void> {
  const link = await lstat(path).catch(() => undefined);
  if (link?.isSymbolicLink() !== true) return;
  await realpath(path).catch((cause: unknown) => {
    throw new StartupError(`${path} points to a folder that is gone: bring that folder back, or remove the link to start with an empty database`, { cause });
  });
}

async function makeOwnFolder(path: string, mode: number): Promise<string> {
  try {
    await mkdir(path, { recursive: true, mode });
    const folder = await realpath(path);
    const { uid } = await stat(folder);
    if (uid !== process.getuid?.()) {
      throw new StartupError(`${folder} belongs to user ${uid}: start as that user, or choose another folder (MEMSEAL_HOME)`);
    }
    await chmod(folder, mode);
    return folder;
  } catch (error) {
    if (error instanceof StartupError) throw error;
    throw new StartupError(`${path} cannot be made or opened (${(error as NodeJS.ErrnoException).code}): choose another folder (MEMSEAL_HOME)`, { cause: error });
  }
}

/** Tries rather than reads modes: access lists and network file systems have a say too. */
async function canEnter(user: ServerUser, folder: string): Promise<boolean> {
  try {
    await run("/bin/sh", ["-c", 'cd "$1"', "sh", folder], { ...user, cwd: "/", env: {} });
    return true;
  } catch {
    return false;
  }
}

/**
 * Puts the database where the server's user can go, with a symbolic link at `path`.
 *
 * This is `npm start` as root: ~/.memseal lies under /root, which is 0700 and not ours to open. The link keeps
 * the database findable where it was asked for, moves along with its parent, and vanishes with it; a place
 * derived from the path alone would hand an old database to new keys once ~/.memseal was removed and made again.
 */
async function moveToSharedState(path: string, user: ServerUser): Promise<string> {
  let folder: string | undefined;
  try {
    const made = await mkdir(SHARED_STATE, { recursive: true });
    if (made !== undefined) await chmod(SHARED_STATE, 0o711);
    folder = await mkdtemp(join(SHARED_STATE, "postgres-"));
    await chmod(folder, 0o711);
    if (!(await canEnter(user, folder))) throw new Error(`${folder} is closed to the server's user`);
    // Fails unless `path` is a folder without content: a database that was in use there stays where it is.
    await rmdir(path);
    await symlink(folder, path);
    return folder;
  } catch (cause) {
    if (folder !== undefined) await rm(folder, { recursive: true });
    throw new StartupError(
      `${path} is closed to the user nobody, which PostgreSQL runs as when started by root: choose a folder that every user may pass through (MEMSEAL_HOME), start as an ordinary user, or set DATABASE_URL`,
      { cause },
    );
  }
}
