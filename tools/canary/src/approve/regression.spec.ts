import { keepsLimit, passes } from "@memseal/evidence";
import type { BenchRun } from "./benches.js";
import { perfFigures } from "./perf.js";
import { benchFigures, evalFigures, evalOf, medianOf, noEvalFigure, schedule, type Round, type Side } from "./regression.js";

const run = (...figures: [string, number | null][]): BenchRun => ({ settings: [], figures: figures.map(([what, median]) => ({ what, values: [median], median, unit: "ms" })) });
const rounds = (values: readonly [Side, number][], what = "search p95"): Round[] => values.map(([side, value]) => ({ side, run: run([what, value]) }));
const failing = (list: readonly Round[]) => benchFigures("b", list).filter((figure) => !keepsLimit(figure)).map(({ what }) => what);

describe("benches of stable and candidate", () => {
  it("follow each other bench by bench, and neither is always first", () => {
    const block = [["a", "stable"], ["a", "candidate"], ["a", "candidate"], ["a", "stable"], ["b", "stable"], ["b", "candidate"], ["b", "candidate"], ["b", "stable"]];
    expect(schedule(["a", "b"], 2)).toEqual([...block, ...block]);
  });

  it("are compared by the medians of their rounds, all of which are told", () => {
    const [, figure] = benchFigures("b", rounds([["stable", 10], ["candidate", 100], ["candidate", 10.9], ["stable", 10], ["stable", 90], ["candidate", 10.5]]));
    expect(figure).toMatchObject({ what: "b: search p95, candidate over stable", unit: "%", limit: { is: "at most", value: 10 }, note: "stable 10.00, candidate 10.90 ms" });
    expect(figure?.value).toBeCloseTo(9);
    expect(figure?.details).toEqual(["round 1, stable: 10.00 ms", "round 2, candidate: 100.0 ms", "round 3, candidate: 10.90 ms", "round 4, stable: 10.00 ms", "round 5, stable: 90.00 ms", "round 6, candidate: 10.50 ms"]);
  });

  it("fail where a p95 is a tenth slower and a little, and not before", () => {
    expect(failing(rounds([["stable", 100], ["candidate", 110]]))).toEqual([]);
    expect(failing(rounds([["stable", 100], ["candidate", 110.2]]))).toEqual(["b: search p95, candidate over stable"]);
    expect(failing(rounds([["stable", 100], ["candidate", 20]]))).toEqual([]);
  });

  it("do not fail by what is no p95, which is told", () => {
    const list = rounds([["stable", 100], ["candidate", 10]], "queries");
    expect(failing(list)).toEqual([]);
    expect(benchFigures("b", list)[1]?.value).toBeCloseTo(-90);
  });

  it("fail where the candidate no longer measures what stable does, or a round ended without figures", () => {
    expect(failing([{ side: "stable", run: run(["search p95", 10]) }, { side: "candidate", run: run(["other p95", 10]) }])).toEqual(["b: search p95, candidate over stable"]);
    expect(failing([{ side: "stable", run: run(["search p95", 10]) }, { side: "candidate", run: undefined }])).toEqual(["b: rounds that ended without figures", "b: search p95, candidate over stable"]);
  });

  it("have the middle of their rounds as median", () => {
    expect([medianOf([3, 1, 2]), medianOf([4, 1, 2, 3]), medianOf([])]).toEqual([2, 2.5, null]);
  });
});

describe("nDCG@10", () => {
  const evaluated = (...slices: [string, number][]) => evalOf({ slices: slices.map(([slice, mean]) => ({ slice, figures: { default: { ndcgAt10: { mean } } } })) });

  it("may lose a point and no more, on each slice", () => {
    const figures = evalFigures(evaluated(["a", 0.61], ["b", 0.61], ["c", 0.61]), evaluated(["a", 0.6005], ["b", 0.5995]));
    expect(figures.map(keepsLimit)).toEqual([true, false, false]);
  });

  it("that was not measured fails, unless the operator said that it need not be, which is told", () => {
    const good = { what: "good", value: 0, unit: "", limit: { is: "at most", value: 0 } } as const;
    expect(passes([good, noEvalFigure(false)])).toBe(false);
    expect(passes([good, noEvalFigure(true)])).toBe(true);
    expect(noEvalFigure(true).note).toContain("--without-eval");
  });
});

describe("benches against limits", () => {
  const figure = (change: object) => ({ what: "auth p95", values: [40, 45, 60], median: 45, unit: "ms", commit: 50, lowerIsBetter: true, ...change });
  const failed = (change: object, leftOut = 0) => perfFigures(new Map([["b", { settings: [], figures: [figure(change)] }]]), leftOut).filter((one) => !keepsLimit(one)).map(({ what }) => what);

  it.each<[string, object, string[]]>([
    ["within its limit", {}, []],
    ["over it", { median: 50.1 }, ["auth p95"]],
    ["under what it must reach", { lowerIsBetter: false }, ["auth p95"]],
    ["over what another release is to reach", { median: 50.1, isPromised: false }, []],
    ["without a limit", { median: 1e9, commit: undefined }, []],
    ["that is no number", { median: null }, ["auth p95"]],
  ])("a figure %s", (_what, change, expected) => {
    expect(failed(change)).toEqual(expected);
  });

  it("fail where one was left out or ended without figures", () => {
    expect(failed({}, 2)).toEqual(["benches left out of this run"]);
    expect(perfFigures(new Map([["b", undefined]]), 0).filter((one) => !keepsLimit(one)).map(({ what }) => what)).toEqual(["figures of b"]);
  });

  it("tell every round", () => {
    expect(perfFigures(new Map([["b", { settings: [], figures: [figure({})] }]]), 0)[2]?.details).toEqual(["rounds: 40.00, 45.00, 60.00"]);
  });
});
