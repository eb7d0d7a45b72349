// usage: npm run canary:demo -- [scenario ...]
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../repository.js";
import { builtFolder, candidateVersion, newestRelease } from "./release-build.js";
import { isAsExpected, runScenario, type ScenarioResult } from "./run-scenario.js";
import { scenariosNamed } from "./scenarios.js";
import { Stage } from "./stage.js";
import { table } from "./table.js";

/** A release of an hour and three quarters takes three and a half minutes. */
const TIME_SCALE = 30;
const REQUESTS_PER_S = 20;
/** So many that a twentieth of them is somebody. */
const USERS = 40;

const scenarios = scenariosNamed(process.argv.slice(2));
const { version, commit } = newestRelease();
const release = candidateVersion();
console.log(`stable: ${version}, commit ${commit}; its first build takes minutes`);
const stable = builtFolder(commit);
const dir = mkdtempSync(join(tmpdir(), "memseal-canary-demo-"));
console.log(`candidate: ${release}, the tree as it is; evidence in ${dir}`);

const stage = await Stage.start({ stable, users: USERS });
const results: ScenarioResult[] = [];
try {
  for (const scenario of scenarios) {
    console.log(`\n== ${scenario.name}, time scale ${TIME_SCALE}, ${REQUESTS_PER_S} requests a second`);
    results.push(await runScenario(stage, scenario, { candidate: ROOT, release, timeScale: TIME_SCALE, requestsPerS: REQUESTS_PER_S, dir }));
  }
} finally {
  await stage.stop();
  console.log(`\n${table(results)}`);
}
process.exitCode = results.length === scenarios.length && results.every(isAsExpected) ? 0 : 1;
