import type { Estimate } from "./bootstrap.js";
import { verdict, type Row } from "./check.js";
import { METRICS, type SliceFigures } from "./figures.js";
import type { Metric } from "./metrics.js";

const NAMES: Readonly<Record<Metric, string>> = { recallAt10: "R@10", recallAt50: "R@50", ndcgAt10: "nDCG@10", mrr: "MRR@10" };

/** A table a slice: means with their 95% intervals, and what each configuration gains over the one it adds to. */
export function sliceTable({ slice, questions, figures, gains }: SliceFigures): string {
  const rows = Object.entries(figures).map(([configuration, ofMetric]) => {
    const gain = gains[configuration];
    return [configuration, ...METRICS.map((metric) => estimate(ofMetric[metric])), gain === undefined ? "" : `${signed(gain.ndcgAt10)} over ${gain.over}`];
  });
  return table([[`${slice}: ${questions} questions`, ...METRICS.map((metric) => NAMES[metric]), "nDCG@10 gained"], ...rows]);
}

export function checkTable(rows: readonly Row[]): string {
  return table([["figure", "value", "commit", "aim", ""], ...rows.map((row) => [row.what, share(row.value), share(row.commit), share(row.aim), verdict(row)])]);
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_head, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()).join("\n");
}

function estimate({ mean, low, high }: Estimate): string {
  return `${share(mean)} (${share(low)} to ${share(high)})`;
}

function signed({ mean, low, high }: Estimate): string {
  const sign = (value: number): string => `${value < 0 ? "-" : "+"}${share(Math.abs(value))}`;
  return `${sign(mean)} (${sign(low)} to ${sign(high)})`;
}

/** .730 */
function share(value: number): string {
  return value.toFixed(3).replace(/^0/, "");
}
