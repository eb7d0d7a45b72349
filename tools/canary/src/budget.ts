import { routing, type Routing } from "./alertmanager.js";
import { duration, type Cadence } from "./cadence.js";
import type { Alert } from "./rules.js";

/** Alertmanager gives a webhook as long as its group's interval, and no less than that. */
const WEBHOOK_S = 10;

/** From a breach to weight 0, at a scrape interval: what is promised. */
const PROMISED_S: readonly { scrapeS: number; mostS: number }[] = [{ scrapeS: 1, mostS: 60 }, { scrapeS: 15, mostS: 120 }];

/** What a rollback takes from a breach that is there to be seen until the runner has been told, at worst. */
export function delayS(alert: Alert, { scrapeS, evaluationS }: Cadence, { groupWaitS, groupIntervalS }: Routing): number {
  return scrapeS + evaluationS + alert.forS + Math.max(groupWaitS, groupIntervalS) + Math.max(WEBHOOK_S, groupIntervalS);
}

/** A line for each rollback that would come too late; none where all is well. */
export function overBudget(alerts: readonly Alert[], cadence: Cadence, route: Routing = routing(cadence)): string[] {
  const mostS = PROMISED_S.find(({ scrapeS }) => scrapeS >= cadence.scrapeS)?.mostS;
  if (mostS === undefined) return [`nothing is promised for scrapes ${duration(cadence.scrapeS)} apart`];
  return alerts
    .filter(({ action }) => action === "rollback")
    .map((alert) => ({ name: alert.name, takes: delayS(alert, cadence, route) }))
    .filter(({ takes }) => takes > mostS)
    .map(({ name, takes }) => `${name} takes ${takes} s to a rollback; ${mostS} s are promised at scrapes ${duration(cadence.scrapeS)} apart`);
}
