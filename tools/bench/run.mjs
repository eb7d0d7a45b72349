// usage: node tools/bench/run.mjs <file.bench.ts> [--check] [--json FILE] [--device auto|cuda|cpu]
// Prints a row a figure beside its commit and its aim; with --check exits 1 where a commit is missed. With --json writes
// {title, settings, figures} there, too: each figure as the bench gives it, with `median` and `verdict` (aim, commit, MISSED, "x 1.2 off" or empty).
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const [file, ...options] = process.argv.slice(2);
const isChild = process.execArgv.includes("tsx");
const asked = parsed(options);
if (file === undefined || asked === undefined) usage();

function parsed(args) {
  try {
    return parseArgs({ args, options: { check: { type: "boolean", default: false }, json: { type: "string" }, device: { type: "string" } } }).values;
  } catch {
    return undefined;
  }
}

function usage() {
  console.error("usage: node tools/bench/run.mjs <file.bench.ts> [--check] [--json FILE], and of a bench of models [--device auto|cuda|cpu]");
  process.exit(2);
}

if (!isChild) {
  // Benches stand beside what they measure, in TypeScript, and import it from source.
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const { status } = spawnSync(
    process.execPath,
    ["--conditions=@memseal/source", "--import", "tsx", fileURLToPath(import.meta.url), resolve(file), ...options],
    { stdio: "inherit", cwd: root },
  );
  process.exit(status ?? 1);
}

/**
 * A bench exports `title`, `settings` (a list of lines) and `run()`, which gives its figures:
 * { what, values, unit, commit?, aim?, note? }, with a value a round. Higher is better unless `lowerIsBetter`. Of an
 * `isPromised: false` figure commit and aim are printed and not checked: another release is to reach them. Of models it exports `devices`, too,
 * and `run(device)` gets one of them, the first unless another is asked for.
 */
const bench = await import(pathToFileURL(file).href);
const device = asked.device ?? bench.devices?.[0];
if (device !== undefined && !bench.devices?.includes(device)) usage();
const git = (...args) => spawnSync("git", args, { encoding: "utf8" }).stdout?.trim() ?? "";
const dirty = git("status", "--porcelain") === "" ? "" : ", with changes";
console.log(bench.title);
console.log(`commit ${git("rev-parse", "--short", "HEAD") || "unknown"}${dirty}; ${new Date().toISOString().slice(0, 10)}; Node ${process.versions.node}, OpenSSL ${process.versions.openssl}`);
console.log(`${cpus().length} x ${cpus()[0]?.model ?? "unknown CPU"}, ${Math.round(totalmem() / 2 ** 30)} GiB`);
for (const line of bench.settings) console.log(line);

const figures = await bench.run(device);
const meets = (value, bound, { lowerIsBetter }) => (lowerIsBetter ? value <= bound : value >= bound);
const show = (value) => (value === undefined ? "-" : Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3));
const judged = figures.map((figure) => {
  const { values, commit, aim, isPromised = true } = figure;
  const sorted = [...values].sort((a, b) => a - b);
  const median = sorted[sorted.length >> 1] ?? NaN;
  const missed = isPromised ? "MISSED" : `x ${(figure.lowerIsBetter ? median / commit : commit / median).toFixed(1)} off`;
  const verdict = commit === undefined ? "" : !meets(median, commit, figure) ? missed : aim !== undefined && meets(median, aim, figure) ? "aim" : "commit";
  return { ...figure, median, verdict };
});
const rows = judged.map(({ what, values, median, unit, commit, aim, verdict, note = "" }) => {
  const spread = values.length > 1 ? `${show(Math.min(...values))} .. ${show(Math.max(...values))}` : "";
  return [what, show(median), unit, spread, show(commit), show(aim), verdict, note];
});
const table = [["figure", "median", "unit", "spread", "commit", "aim", "", ""], ...rows];
const widths = table[0].map((_head, column) => Math.max(...table.map((row) => row[column].length)));
for (const row of table) console.log(row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd());

if (asked.json !== undefined) writeFileSync(asked.json, `${JSON.stringify({ title: bench.title, settings: bench.settings, figures: judged }, undefined, 2)}\n`);
const missed = judged.filter(({ verdict }) => verdict === "MISSED").length;
if (missed > 0) console.log(`${missed} of ${rows.length} figures miss their commit`);
process.exit(asked.check && missed > 0 ? 1 : 0);
