import { isAsExpected, type ScenarioResult } from "./run-scenario.js";

const HEAD = ["scenario", "outcome", "breach to weight 0", "requests canary", "stable", "errors of the candidate", "others", "took", "as expected", "cause"];

/** A line a scenario, under a line of names. */
export function table(results: readonly ScenarioResult[]): string {
  const rows = [HEAD, ...results.map(rowOf)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()).join("\n");
}

function rowOf(result: ScenarioResult): string[] {
  const { scenario, outcome, exitCode, cause, isVerified, tookS, breachToZeroS, requests, errors } = result;
  return [
    scenario.name,
    `${outcome ?? `exit code ${exitCode}`}${isVerified ? "" : ", evidence does not hold"}`,
    breachToZeroS === undefined ? "-" : `${breachToZeroS.toFixed(1)} s`,
    String(requests.canary),
    String(requests.stable),
    String(errors.ofCandidate),
    String(errors.ofOthers),
    `${tookS.toFixed(0)} s`,
    isAsExpected(result) ? "yes" : "NO",
    cause,
  ];
}
