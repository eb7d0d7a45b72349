import { routing } from "./alertmanager.js";
import { overBudget } from "./budget.js";
import { PRODUCTION, QUICK } from "./cadence.js";
import { alerts } from "./rules.js";

const [alert] = alerts(PRODUCTION);

describe("the budget of a rollback", () => {
  it.each([["15 s", PRODUCTION], ["1 s", QUICK]] as const)("is kept by every rule at scrapes %s apart", (_cadence, cadence) => {
    expect(overBudget(alerts(cadence), cadence)).toEqual([]);
  });

  it("is spent by a rule that waits five minutes, as is usual", () => {
    expect(overBudget([{ ...alert, forS: 300 }], PRODUCTION)).toEqual([`${alert.name} takes 350 s to a rollback; 120 s are promised at scrapes 15s apart`]);
  });

  it("is spent by Alertmanager's own defaults: a group that has spoken waits five minutes", () => {
    expect(overBudget([alert], PRODUCTION, { ...routing(PRODUCTION), groupWaitS: 30, groupIntervalS: 300 })).toHaveLength(1);
  });

  it("is of rollbacks alone", () => {
    expect(overBudget([{ ...alert, action: "hold", forS: 300 }], PRODUCTION)).toEqual([]);
  });

  it("promises nothing for scrapes that are rarer than anybody measured", () => {
    expect(overBudget(alerts(PRODUCTION), { scrapeS: 60, evaluationS: 15 })).toEqual(["nothing is promised for scrapes 1m apart"]);
  });
});
