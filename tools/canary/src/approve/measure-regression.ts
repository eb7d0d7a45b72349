import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atMost, type Measured } from "@memseal/evidence";
import { UsageError } from "../commands/command.js";
import { git, namedReleases, ROOT } from "../repository.js";
import { BENCHES, runBench } from "./benches.js";
import { benchFigures, evalFigures, evalOf, noEvalFigure, schedule, type EvalRun, type Round, type Side } from "./regression.js";
import { build } from "./workspace.js";

export interface RegressionOptions {
  /** A commit, or a version of deploy/releases.json. */
  readonly stable: string;
  readonly benches: readonly string[];
  /** Of stable, candidate, candidate, stable. */
  readonly blocks: number;
  readonly isWithoutEval: boolean;
}

/** Measures stable and the candidate, which is this tree, in turn on this machine. @throws UsageError where there is no such stable */
export async function measureRegression({ stable, benches, blocks, isWithoutEval }: RegressionOptions): Promise<Measured> {
  const commit = commitOf(stable);
  const parent = mkdtempSync(join(tmpdir(), "memseal-stable-"));
  const roots: Readonly<Record<Side, string>> = { stable: join(parent, "stable"), candidate: ROOT };
  try {
    git("worktree", "add", "--detach", "--quiet", roots.stable, commit);
    install(roots.stable);
    for (const root of Object.values(roots)) build(root);
    const shared = benches.filter((bench) => existsSync(join(roots.stable, bench)));
    const figures = [{ what: "benches left out of this run", value: BENCHES.length - benches.length, unit: "", limit: atMost(0) }];
    return {
      settings: [
        `stable ${stable}, commit ${commit}, beside this commit on this machine`,
        `each bench ${blocks} times stable, candidate, candidate, stable, one right after another; the median of each side's rounds is compared`,
        ...benches.filter((bench) => !shared.includes(bench)).map((bench) => `not compared, since stable does not have it: ${bench}`),
        ...(isWithoutEval ? ["--without-eval: quality was not measured, by the operator's word"] : []),
      ],
      figures: [...figures, ...(await compareBenches(shared, roots, blocks)), ...(isWithoutEval ? [noEvalFigure(true)] : compareEval(roots))],
    };
  } finally {
    rmSync(parent, { recursive: true, force: true });
    git("worktree", "prune");
  }
}

async function compareBenches(benches: readonly string[], roots: Readonly<Record<Side, string>>, blocks: number): Promise<Measured["figures"]> {
  const rounds = new Map(benches.map((bench): [string, Round[]] => [bench, []]));
  for (const [bench, side] of schedule(benches, blocks)) rounds.get(bench)?.push({ side, run: await runBench(roots[side], bench) });
  return [...rounds].flatMap(([bench, done]) => benchFigures(bench, done));
}

function compareEval(roots: Readonly<Record<Side, string>>): Measured["figures"] {
  if (process.env["MEMSEAL_EVAL_DATA"] === undefined) return [noEvalFigure(false)];
  return evalFigures(evaluate(roots.stable), evaluate(roots.candidate));
}

/** @throws Error where it ends without figures */
function evaluate(root: string): EvalRun {
  const dir = mkdtempSync(join(tmpdir(), "memseal-eval-"));
  const json = join(dir, "figures.json");
  try {
    spawnSync(process.execPath, ["tools/eval/dist/main.js", "--json", json], { cwd: root, stdio: ["ignore", 2, 2] });
    return evalOf(JSON.parse(readFileSync(json, "utf8")));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function install(root: string): void {
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error("stable's packages could not be installed");
}

function commitOf(stable: string): string {
  const named = namedReleases().find(({ version }) => version === stable)?.commit ?? stable;
  try {
    return git("rev-parse", "--verify", "--quiet", "--end-of-options", `${named}^{commit}`);
  } catch (error) {
    throw new UsageError(`${stable} is neither a release of deploy/releases.json nor a commit`, { cause: error });
  }
}
