// `npm run test:guards [-- name ...]`: applies each sabotage to a copy of the workspace and fails unless the test that
// guards the promise turns red. A suite that merely does not run is not red. Black-box tests run what is built, with the
// sabotaged module built anew.
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { withScratch } from "../../jest.scratch.mjs";
import { SABOTAGES } from "./sabotages.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const wanted = process.argv.slice(2);
/** Each in a copy of its own: most of a run waits for a database or a process to start. */
const AT_A_TIME = 2;
// Red or not is the same on every server, after every length of time and with any counterexample.
const UNLIKE_TESTS = { MEMSEAL_TEST_POSTGRES_URL: undefined, MEMSEAL_SOAK_S: "1", MEMSEAL_TEST_SHRINK: "off" };
const { options: compilerOptions } = ts.convertCompilerOptionsFromJson(ts.readConfigFile(join(root, "tsconfig.base.json"), ts.sys.readFile).config.compilerOptions, root);

/** The workspace's sources and what is built of them, with third-party modules linked and its own packages linked to the copy. */
function makeCopy(scratch) {
  const copy = mkdtempSync(join(scratch, "memseal-guards-"));
  for (const file of ["package.json", "jest.config.mjs", "jest.environment.mjs", "jest.setup.mjs", "jest.scratch.mjs", "jest.run.mjs", "tsconfig.base.json", "tsconfig.json"]) cpSync(join(root, file), join(copy, file));
  for (const folder of ["libs", "apps/indexer", "apps/gateway", "apps/reranker", "tools/canary"]) {
    cpSync(join(root, folder), join(copy, folder), {
      recursive: true,
      filter: (path) => !/\/(node_modules|models)(\/|$)/.test(path.slice(root.length)),
    });
  }
  mkdirSync(join(copy, "node_modules/@memseal"), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== "@memseal") symlinkSync(join(root, "node_modules", name), join(copy, "node_modules", name));
  }
  for (const name of readdirSync(join(copy, "libs"))) symlinkSync(join(copy, "libs", name), join(copy, "node_modules/@memseal", name));
  symlinkSync(join(root, "libs/inference/models"), join(copy, "libs/inference/models"));
  return copy;
}

/** Builds the services: their black-box tests run what is built. */
function build() {
  const { status } = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-b", "apps/gateway", "apps/indexer", "apps/reranker"], { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error("the services do not build");
}

/** The module that a source becomes: a change of one module changes no other. */
function moduleOf(source, file) {
  const { outputText, diagnostics } = ts.transpileModule(source, { fileName: file, reportDiagnostics: true, compilerOptions: { ...compilerOptions, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, sourceMap: false } });
  if (diagnostics.length > 0) throw new Error(`${file}, sabotaged, does not compile`);
  return outputText;
}

/**
 * The titles of the tests to run: the one that must turn red, and some that must not all do so. Where a set-up fails every
 * test does, and that says nothing of the promise. Undefined: the whole spec, where there is nothing else to tell by, and of
 * black-box tests, which follow one another unless it says what to run.
 */
function titlesOf({ test }) {
  const { kind, project, spec, turnsRed, beside } = test;
  if (beside !== undefined) return [turnsRed, ...[beside].flat()];
  if (kind === "e2e") return undefined;
  const others = SABOTAGES.map((one) => one.test).filter((one) => one.project === project && one.spec === spec && one.turnsRed !== turnsRed);
  return others.length === 0 ? undefined : [turnsRed, ...others.map((one) => one.turnsRed)];
}

/** Titles of the tests that failed, and of those that passed, in one spec of a copy. */
async function runSpec(copy, sabotage, env) {
  const { kind, project, spec } = sabotage.test;
  const results = join(copy, ".test-results", project, `${kind}.json`);
  rmSync(results, { force: true });
  const named = titlesOf(sabotage)?.map((title) => title.replaceAll(/[^\w ]/g, ".")).join("|");
  const args = ["jest.run.mjs", kind, project, `--testPathPatterns=/${spec.replaceAll(".", "\\.")}\\.((integration|e2e)-)?spec`, ...(named === undefined ? [] : [`--testNamePattern=${named}`])];
  await new Promise((resolve) => { spawn(process.execPath, args, { cwd: copy, stdio: "ignore", env }).once("exit", resolve); });
  const tests = existsSync(results) ? JSON.parse(readFileSync(results, "utf8")).testResults.flatMap(({ assertionResults }) => assertionResults) : [];
  const titles = (status) => tests.filter((test) => test.status === status).map(({ fullName }) => fullName);
  return { failed: titles("failed"), passed: titles("passed") };
}

/** Runs `work` while another text stands in a file. */
async function whileItSays(path, text, work) {
  const before = readFileSync(path);
  writeFileSync(path, text);
  try {
    return await work();
  } finally {
    writeFileSync(path, before);
  }
}

/** Why a promise is not guarded; undefined where it is. */
async function fault(copy, sabotage, env) {
  const { file, find, replace, test } = sabotage;
  const source = readFileSync(join(copy, file), "utf8");
  const places = source.split(find).length - 1;
  if (places !== 1) return `${places} places to sabotage instead of 1`;
  const sabotaged = source.replace(find, () => replace);
  const inSource = () => whileItSays(join(copy, file), sabotaged, () => runSpec(copy, sabotage, env));
  const built = join(copy, file.replace("/src/", "/dist/").replace(/\.ts$/, ".js"));
  const { failed, passed } = await (test.kind === "e2e" ? whileItSays(built, moduleOf(sabotaged, file), inSource) : inSource());
  if (failed.some((title) => title.includes(test.turnsRed)) && passed.length > 0) return undefined;
  return `no failure of "${test.turnsRed}" beside tests that pass (failed: ${failed.length}, passed: ${passed.length})`;
}

let held = 0;
let open = 0;

/** Takes sabotages off the list until there are none. */
async function work(copy, take, env) {
  for (let sabotage = take(); sabotage !== undefined; sabotage = take()) {
    const startedMs = Date.now();
    const why = await fault(copy, sabotage, env);
    if (why === undefined) held++;
    else open++;
    console.log(`${why === undefined ? "held " : "OPEN "} ${sabotage.name} (${Math.round((Date.now() - startedMs) / 1_000)} s)${why === undefined ? "" : `: ${why}`}`);
  }
}

const chosen = SABOTAGES.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
// From both ends: black-box tests take memory and time, and no two of them run at once while there are others.
const left = [...chosen.filter(({ test }) => test.kind === "e2e"), ...chosen.filter(({ test }) => test.kind !== "e2e")];
if (chosen.some(({ test }) => test.kind === "e2e")) build();
await withScratch(async (env) => {
  const copies = Array.from({ length: Math.min(AT_A_TIME, chosen.length) }, () => makeCopy(env.MEMSEAL_TEST_SCRATCH));
  try {
    await Promise.all(copies.map((copy, i) => work(copy, () => (i === 0 ? left.shift() : left.pop()), { ...env, ...UNLIKE_TESTS })));
  } finally {
    for (const copy of copies) rmSync(copy, { recursive: true, force: true });
  }
});
console.log(`guards: ${held} held, ${open} open`);
process.exitCode = open === 0 && held > 0 ? 0 : 1;
