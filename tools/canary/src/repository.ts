import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

/** Of the tree that this is built of. */
export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** What git prints. @throws Error where it fails */
export function git(...args: readonly string[]): string {
  return execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trimEnd();
}

/** Of package.json, as releases are called: v1.2.3. */
export function packageVersion(): string {
  return `v${z.object({ version: z.string() }).parse(jsonFile("package.json")).version}`;
}

const RELEASES = z.object({ releases: z.array(z.object({ version: z.string(), commit: z.string() })) });
export type NamedRelease = z.infer<typeof RELEASES>["releases"][number];

/** Those that deploy/releases.json names, the newest last. */
export function namedReleases(): readonly NamedRelease[] {
  return RELEASES.parse(jsonFile("deploy/releases.json")).releases;
}

function jsonFile(name: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, name), "utf8"));
}
