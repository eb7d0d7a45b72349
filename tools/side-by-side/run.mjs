// usage: node tools/side-by-side/run.mjs [--release version|commit|folder] [--suites project/spec,...]
// Two releases on one database at once, as in a canary: the e2e suites of the newest release that deploy/releases.json names, built from git,
// and those of this tree, each against its own services; database, root key and schema, which is this tree's, they share.
import { execFileSync, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Those that do not change the database as a whole, as no other suite on it may expect. */
const SUITES = ["apps/gateway/answers", "apps/gateway/rerank", "apps/gateway/indexers", "apps/gateway/client", "apps/gateway/degraded", "apps/indexer/agreement"];

const { values } = parseArgs({ options: { release: { type: "string" }, suites: { type: "string", default: SUITES.join(",") } } });
const suites = values.suites.split(",");
const { builtFolder, newestRelease } = await import(pathToFileURL(join(root, "tools/canary/dist/demo/release-build.js")).href);
const { startTestDatabase } = await import(createRequire(import.meta.url).resolve("@memseal/storage/testing"));

/** A folder with what is built of it; of a release, from git. */
function folderOf(release) {
  if (release !== undefined && existsSync(release)) return release;
  if (release === undefined) return builtFolder(newestRelease().commit);
  const { releases } = JSON.parse(readFileSync(join(root, "deploy/releases.json"), "utf8"));
  return builtFolder(releases.find(({ version }) => version === release)?.commit ?? release);
}

/** Where suites can share a database: those of v0.1.0 are from before they could, and get what that takes in a copy; what they test is as it was. */
function withSharing(folder) {
  if (readFileSync(join(folder, "libs/storage/src/testing.ts"), "utf8").includes("MEMSEAL_E2E_DATABASE")) return folder;
  const copy = `${folder}-sharing`;
  if (existsSync(copy)) return copy;
  const partial = `${copy}.partial`;
  rmSync(partial, { recursive: true, force: true });
  // Links: `git apply` replaces a file that it changes.
  execFileSync("cp", ["-al", folder, partial]);
  // Of the checkout that the folder was made of, which may be gone.
  rmSync(join(partial, ".git"), { recursive: true, force: true });
  execFileSync("git", ["apply", join(root, "tools/side-by-side/sharing.patch")], { cwd: partial, env: { ...process.env, GIT_CEILING_DIRECTORIES: partial } });
  renameSync(partial, copy);
  return copy;
}

/** Runs the suites of one release, one after the other; what each came to. */
async function runSuites(name, folder, environment) {
  const results = [];
  for (const suite of suites) {
    const [, project, spec] = /^(.+)\/([^/]+)$/.exec(suite) ?? [];
    const counts = join(environment.MEMSEAL_TEST_RESULTS, name);
    const lines = [];
    const status = await new Promise((resolve) => {
      const child = spawn(process.execPath, ["jest.run.mjs", "e2e", project, `--testPathPatterns=/${spec}\\.e2e-spec`], {
        cwd: folder, stdio: ["ignore", "ignore", "pipe"], env: { ...environment, MEMSEAL_TEST_RESULTS: counts },
      });
      child.stderr.setEncoding("utf8").on("data", (text) => lines.push(text));
      child.once("close", resolve);
    });
    // Where v0.1.0 always left them.
    const file = [counts, join(folder, ".test-results")].map((path) => join(path, project, "e2e.json")).find(existsSync);
    const { numPassedTests: passed = 0, numFailedTests: failed = 0 } = file === undefined ? {} : JSON.parse(readFileSync(file, "utf8"));
    console.log(`${name} ${suite}: ${passed} passed, ${failed} failed`);
    if (status !== 0) console.error(lines.join("").slice(-4_000));
    results.push(status === 0 && passed > 0);
  }
  return results.every(Boolean);
}

const release = withSharing(folderOf(values.release));
const dir = mkdtempSync(join(tmpdir(), "memseal-side-"));
const database = await startTestDatabase();
let isWell = false;
try {
  const { urls, superuser, rootKeyFile } = database;
  const shared = join(dir, "database.json");
  // Its password is a function, so that nobody prints it.
  const named = { ...superuser, password: await superuser.password() };
  writeFileSync(shared, JSON.stringify({ urls, superuser: named, rootKeyFile }), { mode: 0o600 });
  const environment = { ...process.env, MEMSEAL_E2E_DATABASE: shared, MEMSEAL_TEST_RESULTS: join(dir, "results") };
  isWell = (await Promise.all([runSuites("release", release, environment), runSuites("current", root, environment)])).every(Boolean);
} finally {
  await database.stop();
  rmSync(dir, { recursive: true });
}
console.log(isWell ? "both releases pass side by side" : "failed");
process.exitCode = isWell ? 0 : 1;
