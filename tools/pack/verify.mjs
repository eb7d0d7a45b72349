// usage: node verify.mjs [folder]
// Compares a packed folder, its own unless one is named, with its manifest.json: every file is there and as it was, and no other is.
// It goes with each pack and needs nothing but Node: an image is built only of a folder that is whole.
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const folder = process.argv[2] ?? dirname(fileURLToPath(import.meta.url));
const { files } = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
const faults = [];

const found = readdirSync(folder, { recursive: true }).map((path) => String(path)).filter((path) => !lstatSync(join(folder, path)).isDirectory());
for (const path of found) {
  if (path !== "manifest.json" && !Object.hasOwn(files, path)) faults.push(`${path} is not in the manifest`);
}
for (const [path, { bytes, sha256 }] of Object.entries(files)) {
  const isThere = found.includes(path);
  const content = isThere && lstatSync(join(folder, path)).isFile() ? readFileSync(join(folder, path)) : undefined;
  if (content === undefined) faults.push(`${path} is ${isThere ? "no file" : "missing"}`);
  else if (content.length !== bytes || createHash("sha256").update(content).digest("hex") !== sha256) faults.push(`${path} is altered`);
}

for (const fault of faults) console.error(fault);
console.log(faults.length === 0 ? `${relative(process.cwd(), folder) || "."}: ${Object.keys(files).length} files as packed` : `${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
