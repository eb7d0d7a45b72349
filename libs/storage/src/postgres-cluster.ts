import { randomBytes } from "node:crypto";
import { chown, link, mkdtemp, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { StartupError } from "@memseal/errors";
import { isTaken, type PostgresBinaries } from "./postgres-binaries.js";
import { initdbArguments, type PostgresLayout } from "./postgres-config.js";
import type { ServerUser } from "./postgres-home.js";
import type { ProgramRunner } from "./postgres-process.js";

/** Folders that a first start makes the cluster in; one that is left over was interrupted. */
export const STAGING_PREFIX = "initdb-";

interface ClusterOptions {
  layout: PostgresLayout;
  binaries: PostgresBinaries;
  runner: ProgramRunner;
  user: ServerUser | undefined;
}

/**
 * Makes the cluster unless there is one; returns the superuser's password.
 * @throws StartupError when it cannot be made, or is not one that these binaries can open.
 */
export async function openCluster(options: ClusterOptions): Promise<string> {
  const { layout, binaries } = options;
  const exists = await stat(layout.data).then(() => true, () => false);
  if (!exists) await createCluster(options);
  const written = (await readFile(join(layout.data, "PG_VERSION"), "utf8")).trim();
  if (written !== binaries.major) {
    throw new StartupError(`${layout.data} was written by PostgreSQL ${written} and this release has ${binaries.major}: export with the release that wrote it, and import into a new folder`);
  }
  return readFile(layout.passwordFile, "utf8").catch((cause: unknown) => {
    throw new StartupError(`${layout.passwordFile} cannot be read: restore it beside ${layout.data}`, { cause });
  });
}

/** Under another name first: a folder called `data` is always whole, also after a kill in the middle. */
async function createCluster({ layout, binaries, runner, user }: ClusterOptions): Promise<void> {
  const folder = dirname(layout.data);
  const staging = await mkdtemp(join(folder, STAGING_PREFIX));
  try {
    await claimPassword(layout.passwordFile, join(staging, "claim"));
    // initdb reads the password as the server's user, from a file of its own that is gone a second later.
    const passwordFile = join(staging, "password");
    await writeFile(passwordFile, await readFile(layout.passwordFile), { mode: 0o600, flag: "wx" });
    if (user !== undefined) {
      await chown(passwordFile, user.uid, user.gid);
      await chown(staging, user.uid, user.gid);
    }
    const data = join(staging, "data");
    const { exitCode, error } = await runner.run(binaries.initdb, initdbArguments({ data, passwordFile })).exited;
    if (exitCode !== 0) {
      throw new StartupError(`the embedded database could not be made: the reason is at the end of ${layout.log}; or set DATABASE_URL to a PostgreSQL 15 or later`, { cause: error });
    }
    await rename(data, layout.data);
    await flushFolder(folder);
  } catch (error) {
    // Another start was first: its cluster has the same password.
    if (!isTaken(error)) throw error;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** A password for the cluster to come, whole or not there at all; of starts side by side the first one's stays. */
async function claimPassword(passwordFile: string, draft: string): Promise<void> {
  await writeFile(draft, randomBytes(32).toString("base64url"), { mode: 0o600, flag: "wx", flush: true });
  await link(draft, passwordFile).catch((error: unknown) => {
    if (!isTaken(error)) throw error;
  });
}

/** Puts names on disk: initdb flushed the files, and a lost rename would lose the whole cluster with them. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
