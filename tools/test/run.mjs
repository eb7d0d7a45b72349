// usage: node tools/test/run.mjs [target ...]
// `npm test`: lint, types, generated code, build and every test, or the targets named; closes with `N passed, N failed, N skipped`.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { withScratch } from "../../jest.scratch.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const results = join(root, ".test-results");
const ALL_TARGETS = ["lint", "typecheck", "generated-current", "build", "test", "integration", "e2e"];
const named = process.argv.slice(2);
const unknown = named.find((target) => !ALL_TARGETS.includes(target));
if (unknown !== undefined) {
  console.error(`${unknown} is none of ${ALL_TARGETS.join(", ")}`);
  process.exit(2);
}

// Earlier counts are forgotten; cached targets put theirs back.
rmSync(results, { recursive: true, force: true });

const nx = await withScratch((env) => spawnSync("npx", ["nx", "run-many", "-t", ...(named.length > 0 ? named : ALL_TARGETS), "--output-style=static"], { cwd: root, env, stdio: "inherit" }));

const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const files = existsSync(results) ? readdirSync(results, { recursive: true }).filter((name) => name.endsWith(".json")).sort() : [];
for (const file of files) {
  const run = JSON.parse(readFileSync(join(results, file), "utf8"));
  // A suite that fails before its first test counts as a failure: jest reports no test for it.
  const failed = run.numFailedTests + run.numRuntimeErrorTestSuites;
  const skipped = run.numPendingTests + run.numTodoTests;
  console.log(`${file.replace(/\.json$/, "")}: ${run.numPassedTests} passed, ${failed} failed, ${skipped} skipped`);
  total.passed += run.numPassedTests;
  total.failed += failed;
  total.skipped += skipped;
  for (const { name, status, message, assertionResults } of run.testResults) {
    const broken = assertionResults.filter((test) => test.status === "failed").map((test) => [test.fullName, test.failureMessages.join("\n")]);
    // It could not be loaded, or failed after its tests.
    if (status === "failed" && broken.length === 0) broken.push(["the file itself", message]);
    for (const [title, reason] of broken) failures.push(`${relative(root, name)}: ${title}\n${stripVTControlCharacters(reason).split("\n").slice(0, 12).join("\n")}`);
  }
}

// Where whoever reads only the end of a long output finds them.
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = nx.status === 0 && total.failed === 0 && total.passed > 0 ? 0 : 1;
