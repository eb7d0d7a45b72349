import { parseArgs } from "node:util";
import { UsageError } from "./command.js";

/** Of `--evidence DIR`. @throws UsageError */
export function parseEvidenceDir(args: readonly string[]): string {
  try {
    const { evidence } = parseArgs({ args: [...args], options: { evidence: { type: "string" } } }).values;
    if (evidence !== undefined) return evidence;
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
  throw new UsageError("--evidence names the folder that `run` was given");
}
