import { approve, type Findings, type Measured } from "@memseal/evidence";
import { git, packageVersion } from "../repository.js";
import { changedFiles } from "./workspace.js";

/**
 * Approves this tree as its commit. dir: where reports are kept. Returns whether it is approved.
 * @throws EvidenceError before anything is measured, where the report could not be written
 */
export function approveTree(kind: Findings["kind"], dir: string, measure: () => Promise<Measured>): Promise<boolean> {
  const commit = git("rev-parse", "HEAD");
  return approve({ kind, version: packageVersion(), commit, dir, keyFile: process.env["MEMSEAL_CANARY_SIGNING_KEY_FILE"] }, async () => {
    const { figures, ...measured } = await measure();
    return { ...measured, figures: [changedFiles(commit), ...figures] };
  });
}
