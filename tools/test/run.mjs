// usage: node tools/test/run.mjs [target ...]
// `npm test`: lint, types, generated code, build and every test, or the targets named; closes with `N passed, N failed, N skipped`.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { withScratch } from "../../jest.scratch.mjs";

const root = new URL("../../", import.meta.url);
const results = new URL(".test-results/", root);
const ALL_TARGETS = ["lint", "typecheck", "generated-current", "build", "test", "integration", "e2e"];
const named = process.argv.slice(2);
const unknown = named.find((target) => !ALL_TARGETS.includes(target));
if (unknown !== undefined) {
  console.error(`${unknown} is none of ${ALL_TARGETS.join(", ")}`);
  process.exit(2);
}

// Earlier counts are forgotten; cached targets put theirs back.
rmSync(results, { recursive: true, force: true });

const targets = named.length > 0 ? named : ALL_TARGETS;
const run = (...some) => withScratch((env) => some.length === 0 || spawnSync("npx", ["nx", "run-many", "-t", ...some, "--output-style=static"], { cwd: root, env, stdio: "inherit" }).status === 0);

let isGreen = await run(...targets.filter((target) => target !== "e2e"));
if (targets.includes("e2e")) {
  // Black-box tests have time limits, which a machine that does something else does not keep: CI names a file that is there once it has done that.
  const barrier = process.env["MEMSEAL_E2E_ONCE"] ?? "";
  while (barrier !== "" && !existsSync(barrier)) await delay(500);
  isGreen = (await run("e2e")) && isGreen;
}

const total = { passed: 0, failed: 0, skipped: 0 };
const files = existsSync(results) ? readdirSync(results, { recursive: true }).filter((name) => name.endsWith(".json")).sort() : [];
for (const file of files) {
  const found = JSON.parse(readFileSync(new URL(file, results), "utf8"));
  // A suite that fails before its first test counts as a failure: jest reports no test for it.
  const failed = found.numFailedTests + found.numRuntimeErrorTestSuites;
  const skipped = found.numPendingTests + found.numTodoTests;
  console.log(`${file.replace(/\.json$/, "")}: ${found.numPassedTests} passed, ${failed} failed, ${skipped} skipped`);
  total.passed += found.numPassedTests;
  total.failed += failed;
  total.skipped += skipped;
}

console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = isGreen && total.failed === 0 && total.passed > 0 ? 0 : 1;
