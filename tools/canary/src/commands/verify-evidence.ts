import { createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { EvidenceError, openReport } from "@memseal/evidence";
import { verifyEvidence } from "../verify/verify-evidence.js";
import { UsageError, type Command } from "./command.js";

export const verify: Command = {
  usage: ["verify-evidence DIR|REPORT.json --key PUBLIC_KEY_FILE"],
  run: (args) => {
    const { path, publicKey } = parse(args);
    try {
      console.log(`${path}: ${path.endsWith(".json") ? ofApproval(path, publicKey) : ofRelease(path, publicKey)}`);
      return 0;
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      console.error(`${path}: REFUSED: ${error.message}`);
      return 1;
    }
  },
};

/** @throws EvidenceError */
function ofRelease(dir: string, publicKey: KeyObject): string {
  const { outcome, looks, steps } = verifyEvidence(dir, { publicKey });
  return `${outcome.replace("_", " ")}; whole, signed by this key, and computed again from ${looks} looks over ${steps.length} steps`;
}

/** @throws EvidenceError */
function ofApproval(file: string, publicKey: KeyObject): string {
  const { kind, version, commit, passed, figures } = openReport(file, publicKey);
  return `${kind} approval of ${version} at ${commit.slice(0, 12)} ${passed ? "passed" : "FAILED"}; whole, signed by this key, and computed again from ${figures.length} figures`;
}

/** @throws UsageError */
function parse(args: readonly string[]): { path: string; publicKey: KeyObject } {
  try {
    const { values: { key }, positionals: [path, ...more] } = parseArgs({ args: [...args], allowPositionals: true, options: { key: { type: "string" } } });
    if (path !== undefined && more.length === 0 && key !== undefined) return { path, publicKey: createPublicKey(readFileSync(key)) };
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
  throw new UsageError();
}
