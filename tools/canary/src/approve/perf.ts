import { atLeast, atMost, type Figure } from "@memseal/evidence";
import type { BenchFigure, BenchRun } from "./benches.js";

/** Each figure of each bench, with the commit row it must keep. runs: by bench; undefined: it ended without figures. */
export function perfFigures(runs: ReadonlyMap<string, BenchRun | undefined>, leftOut: number): Figure[] {
  return [
    { what: "benches left out of this run", value: leftOut, unit: "", limit: atMost(0) },
    ...[...runs].flatMap(([bench, run]) => [
      { what: `figures of ${bench}`, value: run?.figures.length ?? null, unit: "", limit: atLeast(1) },
      ...(run?.figures ?? []).map(figureOf),
    ]),
  ];
}

function figureOf({ what, values, median, unit, commit, lowerIsBetter = false, isPromised = true, note }: BenchFigure): Figure {
  return {
    what,
    value: median,
    unit,
    ...(typeof commit === "number" && isPromised && { limit: lowerIsBetter ? atMost(commit) : atLeast(commit) }),
    ...(note !== undefined && { note }),
    ...(values.length > 1 && { details: [`rounds: ${values.map((value) => value?.toPrecision(4) ?? "none").join(", ")}`] }),
  };
}
