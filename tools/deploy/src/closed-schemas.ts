import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { CACHE } from "./helm.js";
import type { KubeObject } from "./kube-object.js";

/** Where the models of each API group come from; what is none of these are Kubernetes' own. */
const PACKAGES: Readonly<Record<string, string>> = {
  "argoproj.io": "@kubernetes-models/argo-rollouts",
  "cert-manager.io": "@kubernetes-models/cert-manager",
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api",
  "keda.sh": "@kubernetes-models/keda",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
};

function moduleOf({ apiVersion, kind }: KubeObject): string {
  const [group = ""] = apiVersion.split("/");
  return `${PACKAGES[group] ?? "kubernetes-models"}/${apiVersion}/${kind}`;
}

interface Model {
  validate(): void;
}

/**
 * A line for each object that its API would not take. Their validators know types, patterns and what must be there, and let pass
 * what they do not know; so the compiler is asked as well, whose types of the same models are closed for what is written out.
 * @throws Error for a kind that has no model
 */
export async function schemaFaults(cases: ReadonlyMap<string, readonly KubeObject[]>): Promise<string[]> {
  const all = [...cases].flatMap(([name, objects]) => objects.map((object) => ({ object, where: `${name}: ${object.kind} ${object.metadata.name}` })));
  const invalid: string[] = [];
  for (const { object, where } of all) {
    const models = (await import(moduleOf(object))) as Readonly<Record<string, new (data: unknown) => Model>>;
    const ModelOfKind = models[object.kind] ?? missing(object.kind);
    try {
      new ModelOfKind(object).validate();
    } catch (error) {
      invalid.push(`${where}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return [...invalid, ...unknownFields(all)];
}

function missing(kind: string): never {
  throw new Error(`there is no model of ${kind}`);
}

function unknownFields(all: readonly { object: KubeObject; where: string }[]): string[] {
  const dir = join(CACHE, `types-${process.pid}`);
  mkdirSync(dir, { recursive: true });
  // One line an object: a diagnostic's line says which.
  const lines = all.map(({ object }) => `{ const object: import("${moduleOf(object)}").I${object.kind} = ${JSON.stringify(object)}; void object; }`);
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  const compilerOptions = { noEmit: true, strict: true, skipLibCheck: true, target: "es2022", module: "nodenext", types: [] };
  writeFileSync(join(dir, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["objects.ts"] }));
  writeFileSync(join(dir, "objects.ts"), `${lines.join("\n")}\nexport {};\n`);
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
  const { stdout, status } = spawnSync(process.execPath, [tsc, "--pretty", "false", "-p", "."], { cwd: dir, encoding: "utf8" });
  rmSync(dir, { recursive: true });
  const faults = stdout.split("\n").flatMap((line) => {
    const { at, says } = /^objects\.ts\((?<at>\d+),\d+\): error TS\d+: (?<says>.*)$/.exec(line)?.groups ?? {};
    return at === undefined ? [] : [`${all[Number(at) - 1]?.where}: ${says}`];
  });
  if (status !== 0 && faults.length === 0) throw new Error(`the compiler says: ${stdout}`);
  return faults;
}
