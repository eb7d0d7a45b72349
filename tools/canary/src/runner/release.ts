import { Judge, type Cause, type Counted, type Evidence, type Missing, type Observation, type Verdict } from "@memseal/guardrails";
import type { Outcome } from "../bundle/manifest.js";
import { guardrails } from "../evidence.js";
import { WINDOW_S } from "../promql.js";
import { alertName, type Action as AlertAction } from "../rules.js";
import { realS, type ReleasePlan } from "./release-plan.js";

/** An alert as Alertmanager tells of it. */
export interface AlertNotice {
  readonly name: string;
  readonly action: AlertAction;
}

/** Why a release ended, or does not go on. */
export type Reason =
  | { readonly trigger: "judge"; readonly causes: readonly Cause[] }
  | { readonly trigger: "alert"; readonly alert: string }
  | { readonly trigger: "operator"; readonly signal: string }
  | { readonly trigger: "runner"; readonly fault: string }
  /** The window and the patience are over, and this is lacking. */
  | { readonly trigger: "evidence"; readonly missing: readonly Missing[]; readonly held: readonly string[] };

/** What has to be done now. */
export type Action =
  | { readonly do: "wait"; readonly held: readonly string[] }
  /** The next share of the traffic. */
  | { readonly do: "step"; readonly percent: number }
  | { readonly do: "end"; readonly outcome: Outcome; readonly reasons: readonly Reason[] };

/** What has come in since the last look. */
export interface Look {
  /** Unix time in seconds. */
  readonly atS: number;
  /** None where Prometheus was not asked, since an alert or an operator had already spoken. */
  readonly observation?: Omit<Observation, "atS" | "isWarming"> | undefined;
  readonly alerts: readonly AlertNotice[];
  /** Whether tenants are still loaded for the first time. */
  readonly isWarming?: boolean;
  /** Of the signal or the fault that asks for the end. */
  readonly abort?: Extract<Reason, { trigger: "operator" | "runner" }> | undefined;
}

/** What is older than so many scrapes is not yet a breach, and no ground to go on. */
const OLD_SCRAPES = 2;
/** An alert that held a step holds it so long, unless it comes again: Alertmanager repeats what still fires each minute. */
const HELD_S = 120;

/**
 * A release as its plan, the judge and the alerts have it: looks in, what to do out. No clock and no network, so that whoever has
 * the looks can check what was done.
 *
 * It ends at the first breach the judge sees, the first alert that asks for it, or when an operator does. A step ends when its window is over,
 * the judge has the evidence to promote, and nothing holds it: never by the clock alone. Evidence counts from the release's start, over
 * all steps. What has not come by the end of window and patience ends the release as inconclusive.
 *
 * An alert of a guardrail with an excuse (`unlessStableFails`) decides nothing here: Prometheus cannot ask the stable release for the row, the judge is told.
 * Neither does one of a latency, as long as the rules' window holds requests of tenants that were warmed up: the judge leaves those out.
 */
export class Release {
  readonly #judge: Judge;
  readonly #held = new Map<string, number>();
  readonly #startedAtS: number;
  #stepAtS: number;
  #step = 0;
  #heartbeatAtS: number;
  /** When what Prometheus last showed was scraped. */
  #scrapedAtS: number;
  #warmAtS: number | undefined;
  #ended: Extract<Action, { do: "end" }> | undefined;

  /** startedAtS: Unix time in seconds at which the load balancer gave the candidate its first share. */
  constructor(private readonly plan: ReleasePlan, startedAtS: number) {
    this.#judge = new Judge({ startedAtS, staleAfterS: plan.stale_after_s });
    this.#startedAtS = this.#stepAtS = this.#heartbeatAtS = this.#scrapedAtS = startedAtS;
  }

  get verdict(): Verdict {
    return this.#judge.verdict;
  }

  get counted(): Counted[] {
    return this.#judge.counted;
  }

  get evidence(): Evidence[] {
    return this.#judge.evidence;
  }

  /** Share of the traffic of this step, in percent. */
  get percent(): number {
    return this.plan.steps[this.#step]?.percent ?? 0;
  }

  get stepStartedAtS(): number {
    return this.#stepAtS;
  }

  /** Since the release began, in seconds of the plan. */
  planS(atS: number): number {
    return (atS - this.#startedAtS) * this.plan.time_scale;
  }

  /** @throws InvalidArgumentError when it is older than the last */
  look({ atS, observation, alerts, abort, isWarming = false }: Look): Action {
    if (observation !== undefined) this.#judge.observe({ ...observation, atS, isWarming });
    if (!isWarming) this.#warmAtS ??= atS;
    for (const sample of observation?.samples ?? []) if (sample.atS > this.#scrapedAtS) this.#scrapedAtS = sample.atS;
    const asking = alerts.filter(({ name, action }) => action === "rollback" && !EXCUSABLE.includes(name) && !(LATENCIES.includes(name) && this.#countsCold(atS)));
    for (const { name, action } of alerts) {
      if (action === "hold") this.#held.set(name, atS);
      if (action === "heartbeat") this.#heartbeatAtS = atS;
    }
    const { verdict } = this;
    const reasons: Reason[] = [
      ...(abort === undefined ? [] : [abort]),
      ...(verdict.verdict === "rollback" ? [{ trigger: "judge", causes: verdict.causes } as const] : []),
      ...[...new Set(asking.map(({ name }) => name))].map((alert) => ({ trigger: "alert", alert }) as const),
    ];
    if (reasons.length > 0) this.#ended ??= { do: "end", outcome: "rolled_back", reasons };
    return this.#ended ?? this.#next(atS);
  }

  /** The load balancer has given the candidate what `look` asked for. */
  stepped(atS: number): void {
    this.#step++;
    this.#stepAtS = atS;
  }

  /** Whether the rules still count requests of tenants that were not warm. */
  #countsCold(atS: number): boolean {
    return this.#warmAtS === undefined || atS - this.#warmAtS < WINDOW_S;
  }

  #next(atS: number): Action {
    const { verdict } = this;
    const windowS = realS(this.plan, this.plan.steps[this.#step]?.window_s ?? 0);
    const passedS = atS - this.#stepAtS;
    const held = this.#heldAt(atS);
    if (passedS < windowS) return { do: "wait", held };
    if (verdict.verdict === "promote" && held.length === 0) {
      const next = this.plan.steps[this.#step + 1];
      return next === undefined ? (this.#ended = { do: "end", outcome: "promoted", reasons: [] }) : { do: "step", percent: next.percent };
    }
    if (passedS < windowS + realS(this.plan, this.plan.patience_s)) return { do: "wait", held };
    const missing = verdict.verdict === "inconclusive" ? verdict.missing : [];
    return (this.#ended = { do: "end", outcome: "inconclusive", reasons: [{ trigger: "evidence", missing, held }] });
  }

  /** What keeps a step from ending, whatever the judge says. */
  #heldAt(atS: number): string[] {
    const isSilent = atS - this.#heartbeatAtS > this.plan.heartbeat_within_s;
    const alerts = [...this.#held].filter(([, since]) => atS - since <= HELD_S).map(([name]) => name);
    const isOld = atS - this.#scrapedAtS > OLD_SCRAPES * this.plan.look_every_s;
    return [...alerts, ...(isSilent ? ["no heartbeat of Alertmanager"] : []), ...(isOld ? ["no new samples of Prometheus"] : [])];
  }
}

const LATENCIES: readonly string[] = guardrails.filter((one) => one.kind === "quantile" && one.unit === "seconds").map(alertName);
const EXCUSABLE: readonly string[] = guardrails.filter((one) => one.kind === "never" && one.unlessStableFails === true).map(alertName);
