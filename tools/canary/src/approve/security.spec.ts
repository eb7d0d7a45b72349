import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { keepsLimit, passes } from "@memseal/evidence";
import { ATTACKS, type AttackedPromise } from "./attacks.js";
import { NOT_YET, outdated } from "./not-yet.js";
import { securityFigures, suitesOf, type SecurityEvidence } from "./security.js";
import { nameOf, resultsOf, type Suite, type TestResult } from "./suites.js";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const SUITE: Suite = { kind: "integration", project: "libs/storage", spec: "rls" };
const PROMISE: AttackedPromise = { promise: "no foreign row", attacks: [{ suite: SUITE, titles: ["forgets its WHERE", "no tenant is set"] }] };
const test = (title: string, outcome: TestResult["outcome"] = "passed"): TestResult => ({ title, outcome, ms: 5 });
const HELD = [test("rls on a: that forgets its WHERE no foreign row"), test("rls on a: when no tenant is set"), test("rls on b: when no tenant is set", "skipped")];
const evidence = (tests: readonly TestResult[], more: Partial<SecurityEvidence> = {}): SecurityEvidence =>
  ({ promises: [PROMISE], results: new Map([[nameOf(SUITE), tests]]), sabotages: [], leftOut: 0, outdated: [], ...more });
const failing = (of: SecurityEvidence) => securityFigures(of).filter((figure) => !keepsLimit(figure)).map(({ what, value }) => `${what}: ${value}`);

describe("a security approval", () => {
  it("passes where every attack has a test that ran and passed", () => {
    expect(passes(securityFigures(evidence(HELD)))).toBe(true);
  });

  it("names each test with its outcome, and the sabotages that guard them", () => {
    const sabotages = [
      { name: "policy dropped", test: { ...SUITE, turnsRed: "that forgets its WHERE" } },
      { name: "of a test that is no attack", test: { ...SUITE, turnsRed: "another title" } },
      { name: "of another suite", test: { ...SUITE, spec: "roles", turnsRed: "that forgets its WHERE" } },
    ];
    const [figure] = securityFigures(evidence(HELD, { sabotages }));
    expect(figure).toMatchObject({ value: 0, unit: "of 2 attacks not held", note: "2 tests passed; 1 sabotages guard it" });
    expect(figure?.details).toEqual([
      "passed libs/storage rls (integration): rls on a: that forgets its WHERE no foreign row (5 ms)",
      "passed libs/storage rls (integration): rls on a: when no tenant is set (5 ms)",
      "skipped libs/storage rls (integration): rls on b: when no tenant is set (5 ms)",
      'guarded by the sabotage "policy dropped"',
    ]);
  });

  it.each<[string, TestResult[], string[]]>([
    ["a title that no test has any more", HELD.slice(0, 1), ["no foreign row: 1"]],
    ["a title whose tests were all skipped", [HELD[0], HELD[2]], ["no foreign row: 1"]],
    ["a test that failed beside one that passed", [...HELD, test("rls on c: when no tenant is set", "failed")], ["no foreign row: 1", "tests of these suites that failed, whatever they test: 1"]],
    ["another test of the suite that failed", [...HELD, test("something else", "failed")], ["tests of these suites that failed, whatever they test: 1"]],
    ["a suite that did not run", [], ["no foreign row: 2"]],
  ])("fails at %s", (_what, tests, failed) => {
    expect(failing(evidence(tests))).toEqual(failed);
  });

  it("fails where promises were left out, or what is listed as not yet is no longer said to be so", () => {
    expect(failing(evidence(HELD, { leftOut: 3 }))).toEqual(["attacked promises left out of this run: 3"]);
    expect(failing(evidence(HELD, { outdated: NOT_YET.slice(0, 1) }))).toEqual(["promises listed as not yet that the threat model does not say so of: 1"]);
  });
});

describe("jest's results", () => {
  const file = (status: string, ...tests: [string, string][]) => ({ name: "x", status, assertionResults: tests.map(([fullName, outcome]) => ({ fullName, status: outcome, duration: 4.6 })) });

  it("are read test by test", () => {
    expect(resultsOf({ testResults: [file("failed", ["a", "passed"], ["b", "failed"], ["c", "pending"], ["d", "todo"])] })).toEqual([
      { title: "a", outcome: "passed", ms: 5 }, { title: "b", outcome: "failed", ms: 5 }, { title: "c", outcome: "skipped", ms: 5 }, { title: "d", outcome: "skipped", ms: 5 },
    ]);
  });

  it("of a file that failed without a failed test have one: the file", () => {
    expect(resultsOf({ testResults: [file("failed", ["a", "passed"])] })).toContainEqual({ title: "the file itself", outcome: "failed", ms: 0 });
  });
});

describe("the table of attacks", () => {
  it.each(suitesOf(ATTACKS).map((suite): [string, Suite] => [nameOf(suite), suite]))("names a suite that is there: %s", (_name, { kind, project, spec }) => {
    const suffix = { unit: "spec", integration: "integration-spec", e2e: "e2e-spec" }[kind];
    const folder = join(ROOT, project, kind === "e2e" ? "e2e" : "src");
    expect(readdirSync(folder)).toContain(`${spec}.${suffix}.ts`);
  });

  it("has each promise once", () => {
    const promises = ATTACKS.map(({ promise }) => promise);
    expect(new Set(promises).size).toBe(promises.length);
  });
});

describe("what is listed as not yet", () => {
  const threatModel = () => readFileSync(join(ROOT, "docs/threat-model.md"), "utf8");

  it("is said by the threat model, wherever its lines break", () => {
    expect(outdated(threatModel())).toEqual([]);
    expect(outdated("An old row, tenant\n  or database restored whole opens as it did then.", NOT_YET.filter(({ promise }) => promise.includes("noticed")))).toEqual([]);
  });

  it("is outdated once the threat model no longer says so", () => {
    expect(outdated(threatModel().replace("Zeroing is best effort", ""))).toEqual([expect.objectContaining({ promise: "what was freed is overwritten" })]);
  });
});
