import { spawn } from "node:child_process";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import type { BundleFacts } from "../bundle/manifest.js";
import { ROOT } from "../repository.js";
import type { Track } from "../world.js";
import { storyOf } from "./bundle-story.js";
import type { Rehearsal } from "./rehearsal.js";
import type { Scenario } from "./scenarios.js";
import type { Stage } from "./stage.js";
import { SwitchWatch } from "./switch-watch.js";

export interface RunOptions {
  /** Of the candidate's repository, built. */
  readonly candidate: string;
  readonly release: string;
  readonly timeScale: number;
  readonly requestsPerS: number;
  /** Takes the evidence, and the key that it is checked with. */
  readonly dir: string;
}

export interface ScenarioResult {
  readonly scenario: Scenario;
  /** Undefined: the runner ended otherwise. */
  readonly outcome: BundleFacts["outcome"] | undefined;
  readonly exitCode: number | null;
  readonly cause: string;
  readonly isVerified: boolean;
  readonly tookS: number;
  /** From what went wrong to weight 0; undefined: nothing did, or the candidate kept its share. */
  readonly breachToZeroS: number | undefined;
  /** As the load balancer counted them. */
  readonly requests: Readonly<Record<Track, number>>;
  readonly errors: { readonly ofCandidate: number; readonly ofOthers: number };
  readonly emptyCharts: readonly string[];
}

const MAIN = join(ROOT, "tools/canary/dist/main.js");
const OUTCOMES: Readonly<Record<number, BundleFacts["outcome"]>> = { 0: "promoted", 3: "rolled_back", 4: "inconclusive" };
/** What goes wrong does so once the candidate has answered so many: users are warm then, and the steady load is on. */
const WELL_REQUESTS = 200;

/** Releases a candidate as an operator would: by the runner, a process of its own, with the credentials in its environment. */
export async function runScenario(stage: Stage, scenario: Scenario, options: RunOptions): Promise<ScenarioResult> {
  const rehearsal = await stage.rehearse(options.candidate, scenario.fault);
  const watch = new SwitchWatch(rehearsal.loadBalancer);
  try {
    const evidence = join(options.dir, scenario.name);
    const startedMs = Date.now();
    const breaking = breakOnce(rehearsal, scenario, watch);
    const exitCode = await canary(rehearsal.env, [
      "run", "--release", options.release, "--time-scale", String(options.timeScale), "--mode", "local-demo", "--evidence", evidence, "--load", String(options.requestsPerS),
    ]);
    const tookS = (Date.now() - startedMs) / 1_000;
    await watch.stop();
    const brokenMs = await breaking;
    const zeroMs = brokenMs === undefined ? undefined : watch.takenAwayAfter(brokenMs);
    const publicKey = join(options.dir, `${scenario.name}.pub`);
    copyFileSync(rehearsal.publicKeyFile, publicKey);
    return {
      scenario,
      outcome: OUTCOMES[exitCode ?? -1],
      exitCode,
      ...storyOf(evidence),
      isVerified: (await canary({}, ["verify-evidence", evidence, "--key", publicKey])) === 0,
      tookS,
      breachToZeroS: brokenMs === undefined || zeroMs === undefined ? undefined : (zeroMs - brokenMs) / 1_000,
      requests: watch.last?.answers ?? { canary: 0, stable: 0 },
    };
  } finally {
    await watch.stop();
    await rehearsal.stop();
  }
}

/** When it went wrong, in milliseconds; undefined: it never did. */
async function breakOnce(rehearsal: Rehearsal, { breaks }: Scenario, watch: SwitchWatch): Promise<number | undefined> {
  if (breaks === undefined || !(await watch.hasAnswered(WELL_REQUESTS))) return undefined;
  const nowMs = Date.now();
  await breaks(rehearsal);
  return nowMs;
}

/** The exit code; null after a signal. */
function canary(env: Readonly<Record<string, string>>, args: readonly string[]): Promise<number | null> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env }, stdio: ["ignore", "inherit", "inherit"] });
  return new Promise((resolve, reject) => child.once("error", reject).once("exit", resolve));
}

/** Whether the release ended as it must, for the right reason, with evidence that holds and, once promoted, with data in every chart. */
export function isAsExpected({ scenario, outcome, cause, isVerified, errors, emptyCharts }: ScenarioResult): boolean {
  const unexplained = scenario.breaks === undefined ? errors.ofCandidate + errors.ofOthers : errors.ofOthers;
  // What ends early has not shown everything yet.
  const hasShownAll = outcome !== "promoted" || emptyCharts.length === 0;
  return outcome !== undefined && scenario.ends.includes(outcome) && (scenario.because?.test(cause) ?? true) && isVerified && unexplained === 0 && hasShownAll;
}
