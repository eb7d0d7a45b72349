import type { Counted, Verdict } from "@memseal/guardrails";
import type { Outcome } from "../bundle/manifest.js";
import type { Action, Reason, Release } from "./release.js";

/** A share of the traffic, from when the load balancer had given it. */
export interface StepTaken {
  readonly percent: number;
  readonly at: string;
}

export type End = Extract<Action, { do: "end" }>;

/** What came of a release, and on what grounds; computed from the looks, by the runner and by whoever checks it. */
export interface Decision {
  readonly outcome: Outcome;
  readonly reasons: readonly Reason[];
  /** The judge's last word. */
  readonly verdict: Verdict;
  readonly counted: readonly Counted[];
  readonly steps: readonly StepTaken[];
  readonly ended_at: string;
  readonly looks: number;
}

export function decisionOf(release: Pick<Release, "verdict" | "counted">, { outcome, reasons }: End, looks: { steps: readonly StepTaken[]; count: number; lastAt: string }): Decision {
  return { outcome, reasons, verdict: release.verdict, counted: release.counted, steps: looks.steps, ended_at: looks.lastAt, looks: looks.count };
}

const TITLES: Readonly<Record<Outcome, string>> = {
  promoted: "Promoted",
  rolled_back: "Rolled back",
  inconclusive: "Inconclusive: given no traffic any more, since there was too little to judge by",
};

/** A decision for people, in Markdown. header: what the bundle's files say of themselves. */
export function decisionText(header: string, { outcome, reasons, counted, steps, ended_at, looks }: Decision): string {
  return [
    `# ${TITLES[outcome]}`,
    "",
    `${header}. Decided at ${ended_at}, after ${looks} looks.`,
    "",
    ...(reasons.length === 0 ? ["Every guardrail showed the evidence to promote, and every step was watched as long as planned."] : reasons.flatMap(reasonLines).map((line) => `- ${line}`)),
    "",
    "| traffic | from |",
    "|---|---|",
    ...steps.map(({ percent, at }) => `| ${percent}% | ${at} |`),
    "",
    "| guardrail | candidate: breaches of | stable: breaches of |",
    "|---|---|---|",
    ...counted.map(({ guardrail, canary, stable }) => `| ${guardrail} | ${canary.breaches} of ${canary.trials} | ${stable.breaches} of ${stable.trials} |`),
    "",
  ].join("\n");
}

/** A reason in words. */
export function reasonLines(reason: Reason): string[] {
  switch (reason.trigger) {
    case "judge":
      return reason.causes.map((cause) => {
        switch (cause.kind) {
          case "evidence":
            return `${cause.guardrail}: ${cause.candidate.breaches} breaches in ${cause.candidate.trials}; evidence ${cause.logEvidence.toFixed(1)}, of which ${cause.needed.toFixed(1)} is enough`;
          case "event":
            return `${cause.guardrail}: ${cause.events} of what must never happen`;
          case "silent":
            return `${cause.guardrail}: cannot be seen for ${cause.silentS.toFixed(0)} s`;
        }
      });
    case "alert":
      return [`the alert ${reason.alert} fires`];
    case "operator":
      return [`an operator ended it (${reason.signal})`];
    case "runner":
      return [`the runner could not go on: ${reason.fault}`];
    case "evidence":
      return [
        ...reason.missing.map(({ guardrail, requests }) => (requests === 0 ? `${guardrail}: was not seen` : `${guardrail}: needs at least ${requests} more of the candidate's, none of them a breach`)),
        ...reason.held.map((alert) => `held by ${alert}`),
      ];
  }
}
