import type { Measured } from "@memseal/evidence";
import { ROOT } from "../repository.js";
import { BENCHES, runBench, type BenchRun } from "./benches.js";
import { perfFigures } from "./perf.js";
import { build } from "./workspace.js";

/** Runs benches one after the other. Those not among `benches` are left out, and the approval fails. */
export async function measurePerf(benches: readonly string[]): Promise<Measured> {
  build(ROOT);
  const runs = new Map<string, BenchRun | undefined>();
  for (const bench of benches) runs.set(bench, await runBench(ROOT, bench));
  return {
    settings: [...runs].flatMap(([bench, run]) => (run?.settings ?? []).map((line) => `${bench}: ${line}`)),
    figures: perfFigures(runs, BENCHES.length - benches.length),
  };
}
