import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, platform, release, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { atMost, type Figure } from "./figure.js";
import type { Findings } from "./findings.js";

/** Of the repository that this is built of. */
export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));

/** What a report says of where it was made. */
export function subject(): Pick<Findings, "version" | "commit" | "machine"> {
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")));
  return {
    version: `v${version}`,
    commit: git("rev-parse", "HEAD"),
    machine: {
      cpus: `${cpus().length} x ${cpus()[0]?.model ?? "unknown CPU"}`,
      memory_gib: Math.round(totalmem() / 2 ** 30),
      os: `${platform()} ${release()}`,
      node: process.versions.node,
      openssl: process.versions.openssl,
    },
  };
}

/** Reports of approvals of the same commit change nothing that is measured. */
const BESIDE_REPORTS = ["--", ".", ":!docs/evidence"];

/** What was measured must be what the commit says, all the time: asked once it was. */
export function changedFiles(commit: string): Figure {
  const names = [git("diff", "--name-only", commit, ...BESIDE_REPORTS), git("ls-files", "--others", "--exclude-standard", ...BESIDE_REPORTS)];
  const changed = names.flatMap((list) => list.split("\n")).filter((name) => name !== "");
  return { what: "files that are not as in the commit", value: changed.length, unit: "", limit: atMost(0), ...(changed.length > 0 && { details: changed }) };
}

export function git(...args: string[]): string {
  return execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trimEnd();
}

/** Builds a workspace; processes that are measured or attacked run what is built. @throws Error when it does not compile */
export function build(root: string): void {
  const { status } = spawnSync("npm", ["run", "-s", "build"], { cwd: root, stdio: ["ignore", 2, 2], env: { ...process.env, NX_TUI: "false", NX_DAEMON: "false" } });
  if (status !== 0) throw new Error(`${root} does not build`);
}
