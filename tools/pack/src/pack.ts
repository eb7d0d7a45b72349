import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Lock, type Platform } from "./lock.js";
import { filesBelow, ownFiles } from "./own-files.js";
import { PackError } from "./pack-error.js";

/** What is run of each app. */
export const APPS = {
  gateway: ["dist/main.js"],
  indexer: ["dist/main.js"],
  // Beside it: whether what CUDA needs is there, which the CUDA image asks while it is built; and the approval on a GPU (docs/gpu.md).
  reranker: ["dist/main.js", "dist/check-cuda.js", "dist/approve-gpu.js"],
  cli: ["dist/main.js"],
} as const;

export type App = keyof typeof APPS;

/** One time for every file: an image's layer is then the same whenever it is packed. */
const PACKED_AT = new Date("2000-01-01T00:00:00Z");

/** What the code of others holds for whoever writes code with it, and what was left in it. */
const NOT_TO_RUN = /\.d\.[cm]?ts$|\.ts$|\.map$|\.tsbuildinfo$|(^|\/)\.[^/]+$/;

export interface Manifest {
  readonly app: App;
  readonly version: string;
  /** null: its files are not as in a commit. */
  readonly commit: string | null;
  readonly platform: Platform;
  readonly bytes: number;
  /** Of others, by where they are: their versions. */
  readonly packages: Readonly<Record<string, string>>;
  /** By path in the pack. */
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

export interface PackSpec {
  /** Of the workspace, built and with its packages installed. */
  readonly root: string;
  readonly app: App;
  /** Replaced whole. */
  readonly out: string;
  readonly platform: Platform;
}

/**
 * Makes a folder that runs an app and holds nothing else: its built files, the packages it needs in production and its models. The
 * same sources give the same bytes. @throws PackError
 */
export function pack({ root, app, out, platform }: PackSpec): Manifest {
  const lock = new Lock(readFileSync(join(root, "package-lock.json"), "utf8"));
  const { files, packages } = ownFiles(root, app, APPS[app]);
  const folders = lock.productionFolders(packages, platform);
  const sources = new Map<string, string>([...files, ["verify.mjs", join(root, "tools/pack/verify.mjs")]]);
  for (const folder of folders) for (const file of packageFiles(root, folder, platform)) sources.set(file.slice(root.length + 1), file);

  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const written = [...sources].sort(([a], [b]) => (a < b ? -1 : 1)).map(([target, source]) => [target, place(source, join(out, target))] as const);
  const { version } = JSON.parse(readFileSync(join(root, "apps", app, "package.json"), "utf8")) as { version: string };
  const manifest: Manifest = {
    app,
    version,
    commit: commitOf(root),
    platform,
    bytes: written.reduce((sum, [, { bytes }]) => sum + bytes, 0),
    packages: Object.fromEntries(folders.map((folder) => [folder, lock.versionOf(folder)])),
    files: Object.fromEntries(written),
  };
  writeFileSync(join(out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o644 });
  utimesSync(join(out, "manifest.json"), PACKED_AT, PACKED_AT);
  return manifest;
}

/** null where there is none, or anything is not as it says. */
function commitOf(root: string): string | null {
  const git = (...args: string[]) => spawnSync("git", args, { cwd: root, encoding: "utf8" });
  const [head, changes] = [git("rev-parse", "HEAD"), git("status", "--porcelain")];
  return head.status === 0 && changes.status === 0 && changes.stdout === "" ? head.stdout.trim() : null;
}

/** Of one package what runs on the platform; packages inside it are packages of their own. */
function packageFiles(root: string, folder: string, { os, cpu }: Platform): string[] {
  const path = join(root, folder);
  if (!existsSync(path)) throw new PackError(`${folder} is not installed: npm ci first`);
  return filesBelow(path).filter((file) => {
    const inside = file.slice(path.length + 1);
    // onnxruntime-node ships its library for every platform.
    const [, forOs, forCpu] = /^bin\/napi-v\d+\/([^/]+)\/([^/]+)\//.exec(inside) ?? [];
    return !inside.startsWith("node_modules/") && !inside.includes("/node_modules/") && !NOT_TO_RUN.test(inside) && (forOs === undefined || (forOs === os && forCpu === cpu));
  });
}

function place(source: string, target: string): { bytes: number; sha256: string } {
  const content = readFileSync(source);
  mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
  writeFileSync(target, content);
  chmodSync(target, (statSync(source).mode & 0o100) === 0 ? 0o644 : 0o755);
  utimesSync(target, PACKED_AT, PACKED_AT);
  return { bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") };
}
