import { atLeast, atMost, type Figure } from "@memseal/evidence";
import { z } from "zod";
import type { BenchRun } from "./benches.js";

/** What a p95 may gain, in percent of stable's. */
const MAX_GAIN = 10;
/** What nDCG@10 may lose, in hundredths. */
const MAX_LOSS = 1;

export type Side = "stable" | "candidate";

export interface Round {
  readonly side: Side;
  /** undefined: the bench ended without figures. */
  readonly run: BenchRun | undefined;
}

/** What runs when: the sides of a bench follow each other, so that a machine whose speed changes within an hour meets both alike. */
export function schedule(benches: readonly string[], blocks: number): [bench: string, side: Side][] {
  const block = benches.flatMap((bench) => (["stable", "candidate", "candidate", "stable"] as const).map((side): [string, Side] => [bench, side]));
  return Array.from({ length: blocks }, () => block).flat();
}

/** Each figure that either side has. A p95 is limited where stable has it: what the candidate lost fails, what it added is told. */
export function benchFigures(bench: string, rounds: readonly Round[]): Figure[] {
  const failed = rounds.filter(({ run }) => run === undefined);
  const names = [...new Set(rounds.flatMap(({ run }) => run?.figures ?? []).map(({ what }) => what))];
  return [
    { what: `${bench}: rounds that ended without figures`, value: failed.length, unit: `of ${rounds.length}`, limit: atMost(0) },
    ...names.map((what) => comparison(bench, what, rounds)),
  ];
}

function comparison(bench: string, what: string, rounds: readonly Round[]): Figure {
  const measured = rounds.map(({ side, run }) => ({ side, figure: run?.figures.find((one) => one.what === what) }));
  const of = (wanted: Side): number | null => medianOf(measured.flatMap(({ side, figure }) => (side === wanted && typeof figure?.median === "number" ? [figure.median] : [])));
  const [stable, candidate] = [of("stable"), of("candidate")];
  const unit = measured.find(({ figure }) => figure !== undefined)?.figure?.unit ?? "";
  const isLimited = /\bp95\b/.test(what) && stable !== null;
  return {
    what: `${bench}: ${what}, candidate over stable`,
    value: stable === null || candidate === null ? null : (100 * (candidate - stable)) / stable,
    unit: "%",
    ...(isLimited && { limit: atMost(MAX_GAIN) }),
    note: `stable ${show(stable)}, candidate ${show(candidate)} ${unit}`,
    details: measured.map(({ side, figure }, i) => `round ${i + 1}, ${side}: ${show(figure?.median ?? null)} ${unit}`),
  };
}

const show = (value: number | null): string => (value === null ? "none" : value.toPrecision(4));

/** Between the middle two of an even number; of none null. */
export function medianOf(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}

const EVAL = z.object({ slices: z.array(z.object({ slice: z.string(), figures: z.record(z.string(), z.object({ ndcgAt10: z.object({ mean: z.number() }) })) })) });
/** What `npm run eval -- --json` writes. */
export type EvalRun = z.infer<typeof EVAL>;
export const evalOf = (json: unknown): EvalRun => EVAL.parse(json);

/** nDCG@10 of each configuration on each slice that stable has. */
export function evalFigures(stable: EvalRun, candidate: EvalRun): Figure[] {
  return stable.slices.flatMap(({ slice, figures }) =>
    Object.entries(figures).map(([configuration, { ndcgAt10 }]): Figure => {
      const own = candidate.slices.find((one) => one.slice === slice)?.figures[configuration]?.ndcgAt10.mean;
      return {
        what: `nDCG@10 of ${slice}, ${configuration}, candidate over stable`,
        value: own === undefined ? null : 100 * (own - ndcgAt10.mean),
        unit: "points",
        limit: atLeast(-MAX_LOSS),
        note: `stable ${show(ndcgAt10.mean)}, candidate ${show(own ?? null)}`,
      };
    }));
}

/** Where there are no data to evaluate on. isWaived: the operator said so, and the report does. */
export function noEvalFigure(isWaived: boolean): Figure {
  return {
    what: "nDCG@10, candidate over stable",
    value: null,
    unit: "points",
    ...(!isWaived && { limit: atLeast(-MAX_LOSS) }),
    note: isWaived ? "not measured: --without-eval was given" : "not measured: MEMSEAL_EVAL_DATA names no data",
  };
}
