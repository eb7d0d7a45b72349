import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { PackError } from "./pack-error.js";
import { packageOf, referencesOf } from "./references.js";

const OWN_SCOPE = "@memseal/";

/** What an app runs of this workspace, and what that takes of others. */
export interface OwnFiles {
  /** Absolute path of each file by where it goes in the pack. */
  readonly files: ReadonlyMap<string, string>;
  /** Names of the packages of others that are imported. */
  readonly packages: ReadonlySet<string>;
}

interface PackageJson {
  readonly exports?: Readonly<Record<string, { readonly default?: string }>>;
}

/**
 * Everything of the workspace that the entries lead to: built files alone, so that tests, fixtures and sources stay out by themselves,
 * with what is beside them by address (models, a worker's script).
 * @throws PackError for what is not built, or is not there
 */
export function ownFiles(root: string, app: string, entries: readonly string[]): OwnFiles {
  const files = new Map<string, string>();
  const packages = new Set<string>();
  const appFolder = join(root, "apps", app);
  /** Of a package of the workspace: where it is, and where it goes. */
  const placeOf = (file: string): { folder: string; place: string } => {
    if (isWithin(appFolder, file)) return { folder: appFolder, place: "." };
    const [kind = "", name = ""] = relative(root, file).split("/");
    return { folder: join(root, kind, name), place: join("node_modules", OWN_SCOPE + name) };
  };
  const waiting: string[] = [];
  const add = (path: string): void => {
    const { folder, place } = placeOf(path);
    const target = join(place, relative(folder, path));
    if (files.has(target)) return;
    files.set(target, path);
    if (path.endsWith(".js")) waiting.push(path);
    const packageJson = join(folder, "package.json");
    if (path !== packageJson) add(packageJson);
  };
  for (const entry of entries.map((path) => join(appFolder, path))) {
    if (!existsSync(entry)) throw new PackError(`${relative(root, entry)} is not there: npm run build first`);
    add(entry);
  }
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const { own, packages: named } = referencesOf(readFileSync(file, "utf8"));
    const { folder } = placeOf(file);
    for (const reference of own) {
      const path = resolve(dirname(file), reference);
      // Another app of a workspace, which is no part of this one.
      if (!isWithin(folder, path)) continue;
      if (!existsSync(path)) throw new PackError(`${relative(root, path)}, which ${relative(root, file)} needs, is not there: npm run build first`);
      for (const found of statSync(path).isDirectory() ? filesBelow(path) : [path]) add(found);
    }
    for (const specifier of named) {
      const name = packageOf(specifier);
      if (name.startsWith(OWN_SCOPE)) add(exportedFile(root, name, specifier));
      // Of a scope alone the rest is told apart at run time: PostgreSQL's programs for `npm start`, which no image has.
      else if (!name.endsWith("/")) packages.add(name);
    }
  }
  return { files, packages };
}

function isWithin(folder: string, path: string): boolean {
  return path.startsWith(`${folder}/`);
}

/** Regular files, in order. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort();
}

function exportedFile(root: string, name: string, specifier: string): string {
  const folder = join(root, "libs", name.slice(OWN_SCOPE.length));
  const { exports = {} } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as PackageJson;
  const file = exports[`.${specifier.slice(name.length)}`]?.default;
  const path = file === undefined ? undefined : join(folder, file);
  if (path === undefined || !existsSync(path)) throw new PackError(`${specifier} is not built: npm run build first`);
  return path;
}
