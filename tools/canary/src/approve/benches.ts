import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { z } from "zod";

/** Every bench of speed, from the workspace's root. */
export const BENCHES: readonly string[] = [
  "apps/gateway/e2e/approval.bench.ts",
  "apps/gateway/e2e/query.bench.ts",
  "apps/indexer/e2e/indexer.bench.ts",
  "apps/indexer/e2e/isolation.bench.ts",
  "apps/reranker/e2e/reranker.bench.ts",
  "libs/crypto/src/seal.bench.ts",
];

const FIGURES = z.object({
  settings: z.array(z.string()),
  figures: z.array(z.object({
    what: z.string(),
    // NaN is null in JSON.
    values: z.array(z.number().nullable()),
    median: z.number().nullable(),
    unit: z.string(),
    commit: z.number().nullish(),
    lowerIsBetter: z.boolean().optional(),
    isPromised: z.boolean().optional(),
    note: z.string().optional(),
  })),
});
/** What tools/bench writes with --json. */
export type BenchRun = z.infer<typeof FIGURES>;
export type BenchFigure = BenchRun["figures"][number];

/** Runs a bench of the workspace at `root`, which is built. undefined: it ended without figures. */
export async function runBench(root: string, bench: string): Promise<BenchRun | undefined> {
  const dir = mkdtempSync(join(tmpdir(), "memseal-bench-"));
  const json = join(dir, "figures.json");
  try {
    const { code, printed } = await run(root, ["tools/bench/run.mjs", bench, ...(writesJson(root) ? ["--json", json] : [])]);
    if (code !== 0) return undefined;
    return existsSync(json) ? FIGURES.parse(JSON.parse(readFileSync(json, "utf8"))) : tableOf(printed);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** v0.1.0 prints its table alone. */
function writesJson(root: string): boolean {
  return readFileSync(join(root, "tools/bench/run.mjs"), "utf8").includes("--json");
}

async function run(cwd: string, args: readonly string[]): Promise<{ code: number | null; printed: string }> {
  const child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  const printed = await text(child.stdout);
  console.error(printed);
  return { code: await ended, printed };
}

/** What can be read off a printed table: figure, median and unit, under the words of its first row. @throws Error where there is no table */
export function tableOf(printed: string): BenchRun {
  const lines = printed.split("\n");
  const head = lines.findIndex((line) => /^figure +median +unit +spread/.test(line));
  const header = lines[head];
  if (header === undefined) throw new Error("a bench printed no table");
  const [median, unit, spread] = ["median", "unit", "spread"].map((word) => header.indexOf(word)) as [number, number, number];
  const rows = lines.slice(head + 1).filter((line) => line.length > unit && !/^\d+ of \d+ figures miss/.test(line));
  return {
    settings: [],
    figures: rows.map((row) => {
      const value = Number(row.slice(median, unit).trim().replaceAll(",", ""));
      const known = Number.isFinite(value) ? value : null;
      return { what: row.slice(0, median).trim(), values: [known], median: known, unit: row.slice(unit, spread).trim() };
    }),
  };
}
