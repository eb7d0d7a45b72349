import { createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { BundleError } from "../bundle/bundle-error.js";
import { verifyEvidence } from "../verify/verify-evidence.js";
import { UsageError, type Command } from "./command.js";

export const verify: Command = {
  usage: ["verify-evidence DIR --key PUBLIC_KEY_FILE"],
  run: (args) => {
    const { dir, publicKey } = parse(args);
    try {
      const { outcome, looks, steps } = verifyEvidence(dir, { publicKey });
      console.log(`${dir}: ${outcome.replace("_", " ")}; whole, signed by this key, and computed again from ${looks} looks over ${steps.length} steps`);
      return 0;
    } catch (error) {
      if (!(error instanceof BundleError)) throw error;
      console.error(`${dir}: REFUSED: ${error.message}`);
      return 1;
    }
  },
};

/** @throws UsageError */
function parse(args: readonly string[]): { dir: string; publicKey: KeyObject } {
  try {
    const { values: { key }, positionals: [dir, ...more] } = parseArgs({ args: [...args], allowPositionals: true, options: { key: { type: "string" } } });
    if (dir !== undefined && more.length === 0 && key !== undefined) return { dir, publicKey: createPublicKey(readFileSync(key)) };
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
  throw new UsageError();
}
