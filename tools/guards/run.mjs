// `npm run test:guards [name]`: applies each sabotage to a copy of the workspace and fails unless the test that
// guards the promise turns red. A suite that merely does not run is not red. Black-box tests run what is built of the copy.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SABOTAGES } from "./sabotages.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const wanted = process.argv[2];
const copy = mkdtempSync(join(tmpdir(), "memseal-guards-"));
// Red or not is the same on every server, after every length of time and with any counterexample.
const { MEMSEAL_TEST_POSTGRES_URL: _otherServer, ...environment } = { ...process.env, MEMSEAL_SOAK_S: "1", MEMSEAL_TEST_SHRINK: "off" };

/** The workspace's sources, with third-party modules linked and its own packages linked to the copy. */
function makeCopy() {
  for (const file of ["package.json", "jest.config.mjs", "jest.environment.mjs", "jest.setup.mjs", "jest.run.mjs", "tsconfig.base.json", "tsconfig.json"]) cpSync(join(root, file), join(copy, file));
  for (const folder of ["libs", "apps/indexer", "apps/gateway", "apps/reranker"]) {
    cpSync(join(root, folder), join(copy, folder), { recursive: true, filter: (path) => !/\/(dist|node_modules|models)(\/|$)/.test(path.slice(root.length)) });
  }
  mkdirSync(join(copy, "node_modules/@memseal"), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== "@memseal") symlinkSync(join(root, "node_modules", name), join(copy, "node_modules", name));
  }
  for (const name of readdirSync(join(copy, "libs"))) symlinkSync(join(copy, "libs", name), join(copy, "node_modules/@memseal", name));
  symlinkSync(join(root, "libs/inference/models"), join(copy, "libs/inference/models"));
}

/** Builds what has changed of the services. */
function build() {
  const { status, stdout } = spawnSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-b", "apps/gateway", "apps/indexer", "apps/reranker"], { cwd: copy, encoding: "utf8" });
  if (status !== 0) throw new Error(`the sabotaged source does not compile:\n${stdout}`);
}

/** Titles of the tests that failed, and of those that passed, in one spec of the copy. */
function runSpec({ kind, project, spec }) {
  if (kind === "e2e") build();
  const results = join(copy, ".test-results", project, `${kind}.json`);
  rmSync(results, { force: true });
  spawnSync(process.execPath, ["jest.run.mjs", kind, project, `--testPathPatterns=${spec.replaceAll(".", "\\.")}\\.((integration|e2e)-)?spec`], { cwd: copy, stdio: "ignore", env: environment });
  const tests = existsSync(results) ? JSON.parse(readFileSync(results, "utf8")).testResults.flatMap(({ assertionResults }) => assertionResults) : [];
  const titles = (wanted) => tests.filter(({ status }) => status === wanted).map(({ fullName }) => fullName);
  return { failed: titles("failed"), passed: titles("passed") };
}

let held = 0;
let open = 0;
try {
  makeCopy();
  for (const { name, file, find, replace, test } of SABOTAGES) {
    if (wanted !== undefined && wanted !== name) continue;
    const path = join(copy, file);
    const source = readFileSync(path, "utf8");
    const places = source.split(find).length - 1;
    let verdict = `${places} places to sabotage instead of 1`;
    if (places === 1) {
      writeFileSync(path, source.replace(find, () => replace));
      const { failed, passed } = runSpec(test);
      writeFileSync(path, source);
      // Where a set-up fails every test does, and says nothing of the promise: another test must still pass.
      const isRed = failed.some((title) => title.includes(test.turnsRed)) && passed.length > 0;
      verdict = isRed ? undefined : `no failure of "${test.turnsRed}" beside tests that pass (failed: ${failed.length}, passed: ${passed.length})`;
    }
    if (verdict === undefined) held++;
    else open++;
    console.log(`${verdict === undefined ? "held " : "OPEN "} ${name}${verdict === undefined ? "" : `: ${verdict}`}`);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
console.log(`guards: ${held} held, ${open} open`);
process.exitCode = open === 0 && held > 0 ? 0 : 1;
