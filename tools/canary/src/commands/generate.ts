import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { overBudget } from "../budget.js";
import { PRODUCTION, QUICK } from "../cadence.js";
import { differences, write } from "../deploy-folder.js";
import { generated } from "../generate.js";
import { alerts } from "../rules.js";
import { UsageError, type Command } from "./command.js";

const DEPLOY = fileURLToPath(new URL("../../../../deploy", import.meta.url));

export const generate: Command = {
  usage: ["generate [--check]"],
  run: (args) => {
    const faults = faultsOf(parseCheck(args));
    for (const fault of faults) console.error(fault);
    return Math.min(faults.length, 1);
  },
};

/** Writes deploy/, or with `check` compares it; a list of what is wrong. */
function faultsOf(check: boolean): string[] {
  const late = [PRODUCTION, QUICK].flatMap((cadence) => overBudget(alerts(cadence), cadence));
  if (late.length > 0) return late;
  if (!check) {
    write(DEPLOY, generated());
    return [];
  }
  const differing = differences(DEPLOY, generated());
  return differing.length === 0 ? [] : [...differing, "run `npm run canary -- generate` and commit the result"];
}

function parseCheck(args: readonly string[]): boolean {
  try {
    return parseArgs({ args: [...args], options: { check: { type: "boolean", default: false } } }).values.check;
  } catch (error) {
    throw new UsageError(undefined, { cause: error });
  }
}
