/** Where each thing is kept in the evidence of a release. */
export const ARTIFACTS = {
  plan: "plan.json",
  preflight: "preflight.json",
  before: "load-balancer/before.json",
  after: "load-balancer/after.json",
  requests: "load/requests.jsonl",
  summary: "load/summary.json",
  burst: "load/burst.json",
  alerts: "alerts.json",
  agreement: "agreement.json",
  decision: "decision.json",
  decisionText: "decision.md",
  report: "report.html",
  step: (percent: number) => `load-balancer/step-${padded(percent, 3)}.json`,
  look: (n: number) => `looks/${padded(n, 5)}.json`,
  checkpoint: (n: number) => `checkpoints/${padded(n, 2)}.json`,
  /** planS: since the release began, in seconds of the plan. */
  snapshot: (planS: number) => `snapshots/t-plus-${padded(planS / 60, 2)}.json`,
  dashboard: (uid: string) => `dashboards/${uid}.json`,
  /** What was done at the end. */
  record: { promoted: "promotion.json", rolled_back: "rollback.json", inconclusive: "rollback.json" },
} as const;

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}
