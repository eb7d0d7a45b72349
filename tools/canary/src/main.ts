import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { overBudget } from "./budget.js";
import { PRODUCTION, QUICK } from "./cadence.js";
import { differences, write } from "./deploy-folder.js";
import { generated } from "./generate.js";
import { alerts } from "./rules.js";

const USAGE = "usage: npm run canary -- generate [--check]";
const DEPLOY = fileURLToPath(new URL("../../../deploy", import.meta.url));

/** Writes deploy/, or with `check` compares it; a list of what is wrong. */
function generate(check: boolean): string[] {
  const late = [PRODUCTION, QUICK].flatMap((cadence) => overBudget(alerts(cadence), cadence));
  if (late.length > 0) return late;
  if (!check) {
    write(DEPLOY, generated());
    return [];
  }
  const differing = differences(DEPLOY, generated());
  return differing.length === 0 ? [] : [...differing, "run `npm run canary -- generate` and commit the result"];
}

function parseCheck(): boolean | undefined {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { check: { type: "boolean", default: false } } });
    return positionals.length === 1 && positionals[0] === "generate" ? values.check : undefined;
  } catch {
    return undefined;
  }
}

const check = parseCheck();
const faults = check === undefined ? [USAGE] : generate(check);
for (const fault of faults) console.error(fault);
process.exitCode = check === undefined ? 2 : Math.min(faults.length, 1);
