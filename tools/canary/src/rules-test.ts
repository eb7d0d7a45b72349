import { duration, PRODUCTION } from "./cadence.js";
import { alertLabels, alerts, annotations } from "./rules.js";
import { at, EVENT, type World } from "./world.js";

/** What an alert must do in a world. */
export interface Case {
  readonly name: string;
  readonly world: World;
  readonly alert: string;
  /** Labels of each that fires, beside those of the rule; none: it must not fire. */
  readonly fires: readonly Readonly<Record<string, string>>[];
  /** Scrapes after the event; the longest `for` and one more unless given. */
  readonly after?: number;
  /** Queries that are true all the same: what one would have asked instead. */
  readonly naive?: readonly string[];
}

/** A file of unit tests, as promtool reads it. */
export interface RulesTest {
  rule_files: string[];
  evaluation_interval: string;
  tests: object[];
}

const known = alerts(PRODUCTION);
/** Rarer than in production: the same answers in a quarter of the time. */
const EVALUATION_S = 60;
/** The longest `for` is four. */
const AFTER = 5;

export function rulesTest(cases: readonly Case[]): RulesTest {
  return { rule_files: ["../rules/guardrails.yml"], evaluation_interval: duration(EVALUATION_S), tests: cases.map(testOf) };
}

function testOf({ name, world, alert: alertname, fires, after = AFTER, naive = [] }: Case): object {
  const rule = known.find((one) => one.name === alertname);
  const expected = fires.map((labels) => (rule === undefined ? { exp_labels: labels } : { exp_labels: { ...labels, ...alertLabels(rule) }, exp_annotations: annotations(rule) }));
  const eval_time = at(EVENT + after);
  return {
    name: `${alertname}: ${name}`,
    interval: duration(PRODUCTION.scrapeS),
    input_series: world.input(),
    alert_rule_test: [{ eval_time, alertname, exp_alerts: expected }],
    ...(naive.length === 0 ? {} : { promql_expr_test: naive.map((expr) => ({ expr, eval_time, exp_samples: [{ labels: "{}", value: 1 }] })) }),
  };
}
