import { spawnSync } from "node:child_process";
import { atMost, type Figure } from "@memseal/evidence";
import { git } from "../repository.js";

/** Reports of approvals of the same commit change nothing that is measured. */
const BESIDE_REPORTS = ["--", ".", ":!docs/evidence"];

/** What was measured must be what the commit says, all the time: asked once it was. */
export function changedFiles(commit: string): Figure {
  const names = [git("diff", "--name-only", commit, ...BESIDE_REPORTS), git("ls-files", "--others", "--exclude-standard", ...BESIDE_REPORTS)];
  const changed = names.flatMap((list) => list.split("\n")).filter((name) => name !== "");
  return { what: "files that are not as in the commit", value: changed.length, unit: "", limit: atMost(0), ...(changed.length > 0 && { details: changed }) };
}

/** Builds a workspace; processes that are measured or attacked run what is built. @throws Error when it does not compile */
export function build(root: string): void {
  const { status } = spawnSync("npm", ["run", "-s", "build"], { cwd: root, stdio: ["ignore", 2, 2], env: { ...process.env, NX_TUI: "false", NX_DAEMON: "false" } });
  if (status !== 0) throw new Error(`${root} does not build`);
}
