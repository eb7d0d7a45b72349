import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { git, namedReleases, packageVersion, ROOT, type NamedRelease } from "../repository.js";

const APPS = ["@memseal/gateway", "@memseal/indexer", "@memseal/reranker"];

/** The newest that deploy/releases.json names. */
export function newestRelease(): NamedRelease {
  const newest = namedReleases().at(-1);
  if (newest === undefined) throw new Error("deploy/releases.json names no release");
  return newest;
}

/** How the current tree is called as a candidate: its version, and the commit it is at. */
export function candidateVersion(): string {
  return `${packageVersion()}+${git("rev-parse", "--short=12", "HEAD")}`;
}

/**
 * The folder of a commit, built with what its own lock file installs. Kept by commit, as that takes a minute.
 * @throws Error when the repository does not have the commit, or it cannot be built
 */
export function builtFolder(commit: string, kept = join(homedir(), ".cache/memseal/releases")): string {
  const folder = join(kept, commit);
  if (existsSync(folder)) return folder;
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  execFileSync("tar", ["-x", "-C", partial], { input: execFileSync("git", ["-C", ROOT, "archive", commit], { maxBuffer: 2 ** 30 }) });
  build(partial, "npm", "ci", "--no-audit", "--no-fund");
  build(partial, "npx", "nx", "run-many", "-t", "build", "-p", ...APPS, "--output-style=static");
  renameSync(partial, folder);
  return folder;
}

function build(folder: string, command: string, ...args: readonly string[]): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: folder, encoding: "utf8", env: { ...process.env, CI: "true", NX_DAEMON: "false", NX_TUI: "false", NX_NO_CLOUD: "true" } });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed in ${folder}:\n${`${stdout}${stderr}`.slice(-4_000)}`, { cause: error });
}
