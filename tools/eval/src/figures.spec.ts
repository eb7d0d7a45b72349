import { checked, verdict } from "./check.js";
import { CONFIGURATIONS } from "./configurations.js";
import type { QuestionScores } from "./evaluate.js";
import { figuresOf, locomoSlices } from "./figures.js";
import type { Scores } from "./metrics.js";
import { checkTable, sliceTable } from "./report.js";

const scores = (value: number): Scores => ({ recallAt10: value, recallAt50: value, ndcgAt10: value, mrr: value });
/** Each configuration a tenth better than the one before it. */
const question = (value: number): QuestionScores => Object.fromEntries(CONFIGURATIONS.map(({ name }, i) => [name, scores(value + i / 10)]));
const conversations = (...numbers: number[]) => new Map(numbers.map((number) => [number, [question(0), question(number / 100)]]));
const LAST = "fused + context + rerank";

describe("locomoSlices", () => {
  it("are what was tuned on, what was not, both, and all, where they were measured whole", () => {
    expect(locomoSlices(conversations(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)).map(({ name, questions }) => [name, questions.length])).toEqual([
      ["LoCoMo 0, 2, 4, 6 (tuned on)", 8], ["LoCoMo 1, 3, 5, 7", 8], ["LoCoMo 0 to 7", 16], ["LoCoMo 0 to 9", 20],
    ]);
    expect(locomoSlices(conversations(6, 4, 2, 0)).map(({ name }) => name)).toEqual(["LoCoMo 0, 2, 4, 6 (tuned on)"]);
    expect(locomoSlices(conversations(3, 1)).map(({ name, questions }) => [name, questions.length])).toEqual([["LoCoMo 3, 1", 4]]);
  });
});

describe("figuresOf", () => {
  it("gives each configuration's means, and what it gains, question by question", () => {
    const { questions, figures, gains } = figuresOf({ name: "s", questions: [question(0), question(0.4)] });
    expect(questions).toBe(2);
    expect(figures["bm25"].mrr).toMatchObject({ mean: 0.2, low: 0, high: 0.4 });
    // The questions differ by .4, the gain does not differ at all.
    expect(gains["fused"].ndcgAt10.low).toBeCloseTo(0.3, 12);
    expect(gains["fused"].ndcgAt10.high).toBeCloseTo(0.3, 12);
    expect([gains["bm25"], gains["dense"]]).toEqual([undefined, undefined]);
  });

  it("is printed as a table with intervals and gains", () => {
    const lines = sliceTable(figuresOf({ name: "s", questions: [question(0.2), question(0.2)] })).split("\n");
    expect(lines[0]).toMatch(/^s: 2 questions +R@10 +R@50 +nDCG@10 +MRR@10 +nDCG@10 gained$/);
    expect(lines[1]).toMatch(/^bm25 +\.200 \(\.200 to \.200\)/);
    expect(lines[6]).toMatch(/^fused \+ context \+ rerank +\.700 .*\+\.100 \(\+\.100 to \+\.100\) over fused \+ context$/);
  });
});

describe("checked", () => {
  it("holds what was measured against what must be reached", () => {
    const rows = checked([figuresOf({ name: "LoCoMo 0 to 7", questions: [question(0.26)] }), figuresOf({ name: "LoCoMo 1, 3, 5, 7", questions: [question(0)] })]);
    expect(rows.map((row) => [row.what, Math.round(row.value * 100), verdict(row)])).toEqual([
      [`LoCoMo 0 to 7, ${LAST}: recallAt10`, 76, "commit"],
      [`LoCoMo 0 to 7, ${LAST}: ndcgAt10`, 76, "aim"],
      [`LoCoMo 0 to 7, ${LAST}: mrr`, 76, "aim"],
    ]);
    expect(checkTable(rows)).toContain("aim");
  });

  it.each([
    [0.7496, "commit"],
    [0.7494, "MISSED"],
    [0.78, "aim"],
  ])("judges %d as it is printed: %s", (value, expected) => {
    expect(verdict({ what: "", value, commit: 0.75, aim: 0.78 })).toBe(expected);
  });
});
