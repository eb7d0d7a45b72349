import { join } from "node:path";
import { parseArgs } from "node:util";
import { EvidenceError } from "@memseal/evidence";
import { approveTree } from "../approve/approve-tree.js";
import { BENCHES } from "../approve/benches.js";
import { measurePerf } from "../approve/measure-perf.js";
import { measureRegression } from "../approve/measure-regression.js";
import { measureSecurity } from "../approve/measure-security.js";
import { ROOT } from "../repository.js";
import { UsageError, type Command } from "./command.js";

const DIR = { type: "string", default: join(ROOT, "docs/evidence") } as const;
const BENCH = { type: "string", multiple: true } as const;
const MAX_BLOCKS = 20;

export const approve: Command = {
  usage: [
    "approve security [--only PROMISE]... [--dir FOLDER]",
    "approve regression --stable COMMIT|VERSION [--blocks N] [--bench FILE]... [--without-eval] [--dir FOLDER]",
    "approve perf [--bench FILE]... [--dir FOLDER]",
  ],
  run: async ([kind, ...args]) => {
    try {
      return (await run(kind, args)) ? 0 : 1;
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      console.error(error.message);
      return 1;
    }
  },
};

/** Whether it is approved. */
function run(kind: string | undefined, list: readonly string[]): Promise<boolean> {
  const args = [...list];
  switch (kind) {
    case "security": {
      const { only, dir } = parsed(() => parseArgs({ args, options: { dir: DIR, only: { type: "string", multiple: true } } }).values);
      return approveTree(kind, dir, () => measureSecurity(only));
    }
    case "regression": {
      const { stable, blocks, bench, dir, "without-eval": isWithoutEval } = parsed(() =>
        parseArgs({ args, options: { dir: DIR, bench: BENCH, stable: { type: "string" }, blocks: { type: "string", default: "2" }, "without-eval": { type: "boolean", default: false } } }).values);
      if (stable === undefined) throw new UsageError("--stable names what it is compared with");
      const options = { stable, benches: known(bench), blocks: wholeNumber("--blocks", blocks), isWithoutEval };
      return approveTree(kind, dir, () => measureRegression(options));
    }
    case "perf": {
      const { bench, dir } = parsed(() => parseArgs({ args, options: { dir: DIR, bench: BENCH } }).values);
      const benches = known(bench);
      return approveTree(kind, dir, () => measurePerf(benches));
    }
    default:
      throw new UsageError();
  }
}

function known(benches: readonly string[] = BENCHES): readonly string[] {
  for (const bench of benches) if (!BENCHES.includes(bench)) throw new UsageError(`${bench} is none of the benches, which are ${BENCHES.join(", ")}`);
  return [...new Set(benches)];
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text);
  if (!/^\d{1,2}$/.test(text) || number < 1 || number > MAX_BLOCKS) throw new UsageError(`${option} takes 1 to ${MAX_BLOCKS}`);
  return number;
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : undefined, { cause: error });
  }
}
