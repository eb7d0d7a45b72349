import { isAsExpected, type ScenarioResult } from "./run-scenario.js";
import { SCENARIOS, scenariosNamed } from "./scenarios.js";
import { table } from "./table.js";

const resultOf = (name: string, of: Partial<ScenarioResult> = {}): ScenarioResult => ({
  scenario: scenariosNamed([name])[0], outcome: "rolled_back", exitCode: 3, cause: "cross_tenant_reached: 1 of what must never happen", isVerified: true,
  tookS: 30.4, breachToZeroS: 1.26, requests: { canary: 120, stable: 240 }, errors: { ofCandidate: 2, ofOthers: 0 }, emptyCharts: [], ...of,
});

describe("the scenarios of the demo", () => {
  it("are all run unless some are named", () => {
    expect(scenariosNamed([])).toBe(SCENARIOS);
    expect(scenariosNamed(["slow", "healthy"]).map(({ name }) => name)).toEqual(["slow", "healthy"]);
    expect(() => scenariosNamed(["fast"])).toThrow("fast is none of healthy, errors");
  });

  it("end as expected with the right outcome, for the right reason, with evidence that holds and no error but the candidate's", () => {
    expect(isAsExpected(resultOf("cross-tenant"))).toBe(true);
    expect(isAsExpected(resultOf("cross-tenant", { outcome: "promoted" }))).toBe(false);
    expect(isAsExpected(resultOf("cross-tenant", { outcome: undefined, exitCode: 1 }))).toBe(false);
    expect(isAsExpected(resultOf("cross-tenant", { cause: "query_latency: 10 breaches in 12" }))).toBe(false);
    expect(isAsExpected(resultOf("cross-tenant", { isVerified: false }))).toBe(false);
    expect(isAsExpected(resultOf("cross-tenant", { errors: { ofCandidate: 0, ofOthers: 1 } }))).toBe(false);
    expect(isAsExpected(resultOf("healthy", { outcome: "promoted", cause: "", errors: { ofCandidate: 0, ofOthers: 0 } }))).toBe(true);
    expect(isAsExpected(resultOf("healthy", { outcome: "promoted", cause: "" }))).toBe(false);
    expect(isAsExpected(resultOf("healthy", { outcome: "promoted", cause: "", errors: { ofCandidate: 0, ofOthers: 0 }, emptyCharts: ["errors"] }))).toBe(false);
  });

  it("are a table with what was measured", () => {
    const text = table([resultOf("cross-tenant"), resultOf("healthy", { outcome: undefined, exitCode: 1, isVerified: false, breachToZeroS: undefined })]);
    const [, first, second] = text.split("\n");
    expect(first.split(/ {2,}/)).toEqual(["cross-tenant", "rolled_back", "1.3 s", "120", "240", "2", "0", "30 s", "yes", "cross_tenant_reached: 1 of what must never happen"]);
    expect(second.split(/ {2,}/).slice(0, 3)).toEqual(["healthy", "exit code 1, evidence does not hold", "-"]);
    expect(second).toContain("NO");
  });
});
