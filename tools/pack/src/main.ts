import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { APPS, pack, type App } from "./pack.js";
import { PackError } from "./pack-error.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url)).replace(/\/$/, "");
const USAGE = `usage: npm run pack -- ${Object.keys(APPS).join("|")} [--out folder] [--cpu x64|arm64]`;

/** The exit code. */
function main(args: readonly string[]): number {
  const { values: { out, cpu }, positionals: [app = "", ...more] } = parseArgs({ args: [...args], options: { out: { type: "string" }, cpu: { type: "string", default: "x64" } }, allowPositionals: true });
  if (!isApp(app) || more.length > 0 || !["x64", "arm64"].includes(cpu)) throw new PackError(USAGE);
  const folder = resolve(out ?? join(ROOT, "dist/pack", app));
  const { bytes, files, packages } = pack({ root: ROOT, app, out: folder, platform: { os: "linux", cpu } });
  console.log(`${folder}: ${Object.keys(files).length} files, ${Object.keys(packages).length} packages of others, ${(bytes / 1e6).toFixed(1)} MB`);
  return 0;
}

function isApp(name: string): name is App {
  return Object.hasOwn(APPS, name);
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  const isMisuse = error instanceof TypeError && "code" in error;
  if (!(error instanceof PackError) && !isMisuse) throw error;
  console.error(isMisuse ? `${error.message}\n${USAGE}` : error.message);
  process.exitCode = 2;
}
