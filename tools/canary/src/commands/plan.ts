import { PRODUCTION } from "../cadence.js";
import { findCredentials } from "../runner/credentials.js";
import { planOf, realS, type ReleasePlan } from "../runner/release-plan.js";
import type { Command } from "./command.js";
import { parseRunOptions, type RunOptions } from "./run-options.js";

export const plan: Command = {
  usage: ["plan --release vX.Y.Z [--mode live|local-demo] [--time-scale N] [--load REQUESTS_PER_S]"],
  run: (args) => {
    const options = parseRunOptions(args);
    printPlan(options, planOf(PRODUCTION, options.time_scale));
    const found = findCredentials(process.env);
    for (const line of "missing" in found ? found.missing : []) console.log(`missing: ${line}`);
    console.log("missing" in found ? "It cannot be carried out yet. Nothing was done." : "It can be tried: `run` begins with the preflight. Nothing was done.");
    return 0;
  },
};

/** What would be done, in words. A plan has passed nothing, and says so. */
export function printPlan({ release, mode, load }: RunOptions, releasePlan: ReleasePlan): void {
  const minutes = (planS: number) => `${Math.round(realS(releasePlan, planS) / 6) / 10} min`;
  console.log(`plan of release ${release}, mode ${mode}, time scale ${releasePlan.time_scale}; no part of it has been carried out`);
  for (const { percent, window_s } of releasePlan.steps) {
    console.log(`  ${percent}% of the traffic for ${minutes(window_s)} at least, and up to ${minutes(releasePlan.patience_s)} more until there is the evidence to promote`);
  }
  console.log(`  a checkpoint every ${minutes(releasePlan.checkpoint_every_s)}, snapshots after ${releasePlan.snapshots_s.map(minutes).join(", ")}`);
  console.log(`  load of its own: ${load} requests a second, half of them to each release, after a burst of 100 queries of 5 users`);
  console.log("  back to 0% at the first breach, the first alert that asks for it, or Ctrl-C");
}
