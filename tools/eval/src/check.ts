import { SLICE, type SliceFigures } from "./figures.js";
import type { Metric } from "./metrics.js";

/** A figure beside what it must and what it should reach. */
export interface Row {
  readonly what: string;
  readonly value: number;
  readonly commit: number;
  readonly aim: number;
}

interface Bound extends Pick<Row, "commit" | "aim"> {
  readonly slice: string;
  readonly configuration: string;
  readonly metric: Metric;
}

/** A point less than the prototype that the models' cards quote; better is welcome. */
const POINT = 0.01;

const promised = (slice: string, configuration: string, metric: Metric, commit: number, aim: number): Bound => ({ slice, configuration, metric, commit, aim });
const prototype = (slice: string, configuration: string, measured: Partial<Record<Metric, number>>): Bound[] =>
  Object.entries(measured).map(([metric, value]) => promised(slice, configuration, metric as Metric, value - POINT, value));

const DEFAULT = "fused + context + rerank";

const BOUNDS: readonly Bound[] = [
  promised(SLICE.eight, DEFAULT, "recallAt10", 0.75, 0.78),
  promised(SLICE.eight, DEFAULT, "ndcgAt10", 0.6, 0.65),
  promised(SLICE.eight, DEFAULT, "mrr", 0.585, 0.64),
  promised(SLICE.scifact, "fused + context", "ndcgAt10", 0.72, 0.735),
  promised(SLICE.scifact, DEFAULT, "ndcgAt10", 0.71, 0.74),
  ...prototype(SLICE.all, "bm25", { recallAt10: 0.635, ndcgAt10: 0.512, mrr: 0.499 }),
  ...prototype(SLICE.all, "bm25 + context", { recallAt10: 0.688, ndcgAt10: 0.524, mrr: 0.496 }),
  ...prototype(SLICE.all, "dense", { recallAt10: 0.457, ndcgAt10: 0.316, mrr: 0.291 }),
  ...prototype(SLICE.all, "fused + context", { recallAt10: 0.73, ndcgAt10: 0.55, mrr: 0.519 }),
  ...prototype(SLICE.scifact, "bm25", { ndcgAt10: 0.68, recallAt10: 0.807 }),
  ...prototype(SLICE.scifact, "dense", { ndcgAt10: 0.646, recallAt10: 0.792 }),
  ...prototype(SLICE.scifact, "fused + context", { ndcgAt10: 0.73, recallAt10: 0.86 }),
];

/** A row for each bound whose slice was measured. */
export function checked(measured: readonly SliceFigures[]): Row[] {
  return BOUNDS.flatMap(({ slice, configuration, metric, commit, aim }) => {
    const figures = measured.find((one) => one.slice === slice)?.figures[configuration];
    return figures === undefined ? [] : [{ what: `${slice}, ${configuration}: ${metric}`, value: figures[metric].mean, commit, aim }];
  });
}

/** Figures are printed to three places, and judged as printed. */
export function verdict({ value, commit, aim }: Row): "MISSED" | "commit" | "aim" {
  const reaches = (bound: number): boolean => Math.round(value * 1_000) >= Math.round(bound * 1_000);
  return reaches(aim) ? "aim" : reaches(commit) ? "commit" : "MISSED";
}
