import { existsSync, readdirSync } from "node:fs";
import { basename, dirname } from "node:path";

const VERSION_SUFFIX = /\.v([1-9]\d{0,3})$/;

/** The name of the first version's file, by that of any. */
export function firstRootKeyFile(file: string): string {
  return file.replace(VERSION_SUFFIX, "");
}

/** `root.key` is the first version, `root.key.v2` the second and so on. */
export function rootKeyFile(first: string, version: number): string {
  return version === 1 ? first : `${first}.v${version}`;
}

/** The files that are there, by version, the newest first. None where there is no directory. @throws Error of the file system */
export function rootKeyFiles(first: string): Map<number, string> {
  const dir = dirname(first);
  if (!existsSync(dir)) return new Map();
  const versions = readdirSync(dir).flatMap((found) => {
    if (found === basename(first)) return [1];
    const version = Number(VERSION_SUFFIX.exec(found)?.[1] ?? 0);
    return version > 1 && found === basename(rootKeyFile(first, version)) ? [version] : [];
  });
  return new Map(versions.sort((a, b) => b - a).map((version) => [version, rootKeyFile(first, version)]));
}
