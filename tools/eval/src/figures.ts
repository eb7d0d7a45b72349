import { bootstrap, type Estimate } from "./bootstrap.js";
import { CONFIGURATIONS } from "./configurations.js";
import type { QuestionScores } from "./evaluate.js";
import type { Metric } from "./metrics.js";

export const METRICS: readonly Metric[] = ["recallAt10", "recallAt50", "ndcgAt10", "mrr"];

/** Questions that are reported together. */
export interface Slice {
  readonly name: string;
  readonly questions: readonly QuestionScores[];
}

export type Figures = Readonly<Record<Metric, Estimate>>;

export interface SliceFigures {
  readonly slice: string;
  readonly questions: number;
  /** By configuration. */
  readonly figures: Readonly<Record<string, Figures>>;
  /** By configuration that adds to another: what it gains over that one. */
  readonly gains: Readonly<Record<string, Figures & { readonly over: string }>>;
}

/** What was looked at while settings were chosen, what was not, and both. */
const LOCOMO_SLICES: readonly { readonly name: string; readonly conversations: readonly number[] }[] = [
  { name: "LoCoMo 0, 2, 4, 6 (tuned on)", conversations: [0, 2, 4, 6] },
  { name: "LoCoMo 1, 3, 5, 7", conversations: [1, 3, 5, 7] },
  { name: "LoCoMo 0 to 7", conversations: [0, 1, 2, 3, 4, 5, 6, 7] },
  { name: "LoCoMo 0 to 9", conversations: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] },
];

export const SLICE = { held: "LoCoMo 1, 3, 5, 7", eight: "LoCoMo 0 to 7", all: "LoCoMo 0 to 9", scifact: "SciFact test" } as const;

/** The slices whose conversations were all measured; where there is none, what was measured as one. */
export function locomoSlices(measured: ReadonlyMap<number, readonly QuestionScores[]>): Slice[] {
  const whole = LOCOMO_SLICES.filter(({ conversations }) => conversations.every((number) => measured.has(number)));
  const slices = whole.length > 0 ? whole : [{ name: `LoCoMo ${[...measured.keys()].join(", ")}`, conversations: [...measured.keys()] }];
  return slices.map(({ name, conversations }) => ({ name, questions: conversations.flatMap((number) => measured.get(number) ?? []) }));
}

export function figuresOf({ name: slice, questions }: Slice): SliceFigures {
  const estimates = (valueOf: (scores: QuestionScores, metric: Metric) => number): Figures =>
    Object.fromEntries(METRICS.map((metric) => [metric, bootstrap(questions.map((scores) => valueOf(scores, metric)))])) as Record<Metric, Estimate>;
  return {
    slice,
    questions: questions.length,
    figures: Object.fromEntries(CONFIGURATIONS.map(({ name }) => [name, estimates((scores, metric) => scores[name][metric])])),
    gains: Object.fromEntries(CONFIGURATIONS.flatMap(({ name, over }) => (over === undefined ? [] : [[name, { ...estimates((scores, metric) => scores[name][metric] - scores[over][metric]), over }]]))),
  };
}
