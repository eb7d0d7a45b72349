import { atMost, type Figure } from "@memseal/evidence";
import type { AttackedPromise } from "./attacks.js";
import type { NotYet } from "./not-yet.js";
import { nameOf, type Suite, type TestResult } from "./suites.js";

/** A named sabotage of `npm run test:guards`: the suite and the title that must turn red. */
export interface Sabotage {
  readonly name: string;
  readonly test: Suite & { readonly turnsRed: string };
}

export interface SecurityEvidence {
  readonly promises: readonly AttackedPromise[];
  /** Of every suite that the promises name, by `nameOf`. */
  readonly results: ReadonlyMap<string, readonly TestResult[]>;
  readonly sabotages: readonly Sabotage[];
  /** Promises that exist and were left out of this run. */
  readonly leftOut: number;
  /** Listed as not yet, and no longer said to be so. */
  readonly outdated: readonly NotYet[];
}

/** The suites of the promises, each once. */
export function suitesOf(promises: readonly AttackedPromise[]): Suite[] {
  const suites = promises.flatMap(({ attacks }) => attacks).map(({ suite }): [string, Suite] => [nameOf(suite), suite]);
  return [...new Map(suites).values()];
}

/** A figure a promise, and those that say whether anything was left out. */
export function securityFigures({ promises, results, sabotages, leftOut, outdated }: SecurityEvidence): Figure[] {
  const broken = [...results].flatMap(([suite, tests]) => tests.filter(({ outcome }) => outcome === "failed").map(({ title }) => `${suite}: ${title}`));
  return [
    ...promises.map((promise) => promiseFigure(promise, results, sabotages)),
    { what: "tests of these suites that failed, whatever they test", value: broken.length, unit: "", limit: atMost(0), ...(broken.length > 0 && { details: broken }) },
    { what: "attacked promises left out of this run", value: leftOut, unit: "", limit: atMost(0) },
    { what: "promises listed as not yet that the threat model does not say so of", value: outdated.length, unit: "", limit: atMost(0), ...(outdated.length > 0 && { details: outdated.map(({ promise }) => promise) }) },
  ];
}

/** Counts the attacks that were not shown to fail: with a test that failed, or with none that ran and passed. */
function promiseFigure({ promise, attacks }: AttackedPromise, results: SecurityEvidence["results"], sabotages: readonly Sabotage[]): Figure {
  const attempts = attacks.flatMap(({ suite, titles }) => titles.map((title) => ({ suite, title, tests: (results.get(nameOf(suite)) ?? []).filter((test) => test.title.includes(title)) })));
  const lost = attempts.filter(({ tests }) => !isHeld(tests));
  const guards = sabotages.filter(({ test }) => attempts.some(({ suite, tests }) => nameOf(suite) === nameOf(test) && tests.some(({ title }) => title.includes(test.turnsRed))));
  const tests = attempts.flatMap((attempt) => attempt.tests);
  return {
    what: promise,
    value: lost.length,
    unit: `of ${attempts.length} attacks not held`,
    limit: atMost(0),
    note: `${tests.filter(({ outcome }) => outcome === "passed").length} tests passed; ${guards.length} sabotages guard it`,
    details: [
      ...attempts.flatMap(({ suite, title, tests: run }) =>
        (run.length === 0 ? [`NO SUCH TEST ${nameOf(suite)}: ${title}`] : run.map(({ title: full, outcome, ms }) => `${outcome} ${nameOf(suite)}: ${full} (${ms} ms)`))),
      ...guards.map(({ name }) => `guarded by the sabotage "${name}"`),
    ],
  };
}

function isHeld(tests: readonly TestResult[]): boolean {
  return tests.some(({ outcome }) => outcome === "passed") && !tests.some(({ outcome }) => outcome === "failed");
}
