import type { BundleHeader } from "../bundle/manifest.js";
import { headerText } from "../bundle/recorder.js";
import type { LoadRow } from "../load/load-row.js";
import { summarize } from "../load/load-summary.js";
import type { HeardAlert } from "../runner/alert-webhook.js";
import { reasonLines, type Decision } from "../runner/decision.js";
import type { Reason } from "../runner/release.js";
import type { ReleasePlan } from "../runner/release-plan.js";
import { alertsIn, evidenceCharts, latencyCharts, requestsChart, shareChart } from "./charts.js";
import { html, type Html } from "./html.js";
import type { LookPoint } from "./look-point.js";
import { STYLE } from "./style.js";
import { rounded } from "./table.js";
import { alertsTable, countedTable, failuresTable, latencyTable, requestsTable, splitTable, stepsTable } from "./tables.js";
import { slicesOf, Timeline } from "./timeline.js";

export interface ReportInputs {
  readonly header: BundleHeader;
  readonly plan: ReleasePlan;
  readonly decision: Decision;
  readonly rows: readonly LoadRow[];
  readonly heard: readonly HeardAlert[];
  readonly looks: readonly LookPoint[];
}

/**
 * A release for people: one file of HTML that loads nothing, runs nothing and says the same of the same inputs. What it shows is
 * computed from them alone, so that whoever has the evidence can make it again.
 */
export function reportHtml(inputs: ReportInputs): string {
  const { header, plan, decision, rows, heard, looks } = inputs;
  // The one that always fires says only that alerts arrive.
  const alerts = heard.filter(({ action }) => action !== "heartbeat");
  const timeline = Timeline.of(decision.steps[0]?.at, [decision.ended_at, ...rows.map(({ at }) => at), ...looks.map(({ at }) => at), ...alerts.map(({ received_at }) => received_at)]);
  const slices = slicesOf(rows, timeline);
  const summary = summarize(rows);
  const sliceS = rounded(slices[0]?.lengthS ?? 0, 1);
  const title = `${header.release}: ${decision.outcome.replace("_", " ")}`;
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8" /><meta name="viewport" content="width=device-width, initial-scale=1" />
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
<title>${title}</title>
${STYLE}</head><body><main>
${outcomeOf(inputs, title, timeline)}
<h2>Traffic</h2>
<p class="quiet">What the load balancer gave the candidate. Times are real.</p>
${shareChart(decision, alertsIn(alerts), timeline)}
<h2>Requests</h2>
<p class="quiet">Of the runner's own load, by who answered. Each point is of ${sliceS} s.</p>
${requestsChart(slices, timeline)}
<h2>Latency</h2>
<p class="quiet">As the runner's own load met it, until the whole answer was there; each point is of ${sliceS} s, by nearest rank. The guardrails are judged by what the services measure themselves: a streamed search up to its first results.</p>
${latencyCharts(slices, timeline)}
<h2>Evidence</h2>
<p class="quiet">At each look of the judge. A guardrail is shown once nothing is missing; it is broken where the evidence against it reaches all that rolls back. What must never happen is decided by the first event and is not drawn.</p>
${evidenceCharts(looks, timeline)}
<h2>Tables</h2>
${countedTable(decision)}${stepsTable(decision, plan, timeline)}${requestsTable(summary)}${latencyTable(summary)}${splitTable(summary)}${failuresTable(rows)}${alertsTable(heard)}
</main></body></html>
`.text;
}

const BY: Readonly<Record<Reason["trigger"], string>> = {
  judge: "the judge",
  alert: "an alert",
  operator: "an operator",
  runner: "the runner, which could not go on",
  evidence: "the plan: its time was over",
};

function outcomeOf({ header, plan, decision, rows }: ReportInputs, title: string, timeline: Timeline): Html {
  const { outcome, reasons, steps, ended_at, looks, verdict } = decision;
  const durationS = timeline.secondsAt(ended_at);
  const lines = reasons.flatMap(reasonLines);
  const facts: readonly (readonly [string, string])[] = [
    ["evidence of", headerText(header)],
    ["time scale", plan.time_scale === 1 ? "1: none is made up" : `${plan.time_scale}: so many seconds of the plan pass in one real second`],
    ["first share", steps[0]?.at ?? "none was given"],
    ["ended", ended_at],
    ["took", `${rounded(durationS, 1)} s, ${rounded(durationS * plan.time_scale, 0)} s of the plan`],
    ["decided by", reasons.length === 0 ? "the plan and the judge" : [...new Set(reasons.map(({ trigger }) => BY[trigger]))].join("; ")],
    ["judge's last word", verdict.verdict],
    ["looks", String(looks)],
    ["requests", `${rows.length} of the runner's own load`],
  ];
  return html`<header class="${outcome}"><h1>${title}</h1>
${reasons.length === 0 ? html`<p>Every guardrail showed the evidence to promote, and every step was watched as long as planned.</p>` : html`<ul>${lines.map((line) => html`<li>${line}</li>`)}</ul>`}
</header>
<dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>\n`)}</dl>`;
}
