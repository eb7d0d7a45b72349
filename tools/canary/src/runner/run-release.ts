import { setTimeout as delay } from "node:timers/promises";
import type { LoadBalancer, Split } from "../adapters/load-balancer.js";
import { LOOK_QUERIES, vectorIn, type Asked, type PrometheusClient } from "../adapters/prometheus.js";
import { headerText, type BundleRecorder } from "../bundle/recorder.js";
import { dashboards } from "../dashboards.js";
import type { Load } from "../load/load.js";
import type { LookPoint } from "../report/look-point.js";
import { reportHtml } from "../report/report.js";
import { secondsOf } from "../seconds.js";
import { agreementOf } from "./agreement.js";
import type { AlertWebhook, HeardAlert } from "./alert-webhook.js";
import { ARTIFACTS } from "./artifacts.js";
import { decisionOf, decisionText, type Decision, type End, type StepTaken } from "./decision.js";
import { lookOf, pointOf, type LookInputs } from "./look-file.js";
import { Release, type Action, type Look } from "./release.js";
import type { ReleasePlan } from "./release-plan.js";
import { Wake } from "./wake.js";

export interface RunParts {
  readonly plan: ReleasePlan;
  readonly recorder: BundleRecorder;
  readonly loadBalancer: LoadBalancer;
  readonly prometheus: PrometheusClient;
  readonly webhook: AlertWebhook;
  readonly load: Load;
  /** Ends the wait for the next look. */
  readonly wake: Wake;
  /** Told what happens, in words. */
  readonly say: (line: string) => void;
  /** Told of each look. */
  readonly onLook: (state: RunState) => void;
}

/** Where a run is. */
export interface RunState {
  readonly step_percent: number;
  readonly step_started_at: string;
  readonly verdict: string;
  readonly held: readonly string[];
}

/** A load balancer that refuses is asked again for so long, so often. */
const WITHDRAW_WITHIN_MS = 60_000;
const WITHDRAW_AGAIN_MS = 500;

const now = () => new Date().toISOString();

/** One release, from the first share of the traffic to its end, with everything that was seen on the way in the recorder's hands. */
export class ReleaseRun {
  readonly #steps: StepTaken[] = [];
  /** Of every look, what Prometheus answered: requests are counted from it. */
  readonly #answers: (readonly Asked[])[] = [];
  readonly #points: LookPoint[] = [];
  #abort: Look["abort"];
  #isWarming = true;
  #looks = 0;
  #lastAt = "";
  #checkpoints = 0;
  #isOver = false;
  #withdrawnAt: string | undefined;

  constructor(private readonly parts: RunParts) {}

  /** Asks for the candidate to be taken back. */
  abort(reason: NonNullable<Look["abort"]>): void {
    this.#abort ??= reason;
    this.parts.wake.now();
  }

  /**
   * Resolves once all is written down but the signature.
   * @throws LoadBalancerError when the candidate could not be taken back; it may still get traffic
   */
  async run(): Promise<Decision> {
    const { loadBalancer, recorder, load, say } = this.parts;
    const before = await loadBalancer.read();
    recorder.recordJson(ARTIFACTS.before, { at: now(), split: before });
    this.#answers.push(await this.#askPrometheus());
    let decision: { release: Release; end: End };
    try {
      decision = await this.#watch();
    } catch (error) {
      // Whatever it was, the candidate does not keep its traffic unwatched.
      await this.#withdraw();
      throw error;
    }
    const { release, end } = decision;
    const decided = now();
    const withdrawn = end.outcome === "promoted" ? undefined : await this.#withdraw();
    say(`${end.outcome.replace("_", " ")}; the candidate gets ${withdrawn === undefined ? 100 : 0}% of the traffic`);
    await load.stop();
    const heard = await this.#writeDown(end, { before, decided, withdrawn });
    const made = decisionOf(release, end, { steps: this.#steps, count: this.#looks, lastAt: this.#lastAt });
    recorder.recordJson(ARTIFACTS.decision, { ...made });
    recorder.recordDocument(ARTIFACTS.decisionText, decisionText(headerText(recorder.header), made));
    recorder.recordDocument(ARTIFACTS.report, reportHtml({ header: recorder.header, plan: this.parts.plan, decision: made, rows: load.rows, heard, looks: this.#points }));
    return made;
  }

  async #watch(): Promise<{ release: Release; end: End }> {
    const { plan, load, wake, webhook } = this.parts;
    // What was heard before is no word on this release.
    webhook.take();
    const startedAt = await this.#give(plan.steps[0]?.percent ?? 0);
    const release = new Release(plan, secondsOf(startedAt));
    const loading = this.#load(load);
    for (;;) {
      const action = await this.#look(release);
      if (action.do === "end") {
        await loading;
        return { release, end: action };
      }
      try {
        if (action.do === "step") release.stepped(secondsOf(await this.#give(action.percent)));
        await this.#checkpointsDue(release);
      } catch (error) {
        this.abort({ trigger: "runner", fault: (error as Error).message });
      }
      await wake.wait(plan.look_every_s * 1_000);
    }
  }

  /** Tenants are warmed up first: what a latency limit is about are warm ones. */
  async #load(load: Load): Promise<void> {
    try {
      await load.prepare();
      // Until the last of it has been scraped.
      await delay(2 * this.parts.plan.look_every_s * 1_000);
      if (this.#isOver) return;
      this.#isWarming = false;
      this.parts.recorder.recordJson(ARTIFACTS.burst, { at: now(), requests: await load.burst() });
      load.start();
    } catch (error) {
      this.abort({ trigger: "runner", fault: (error as Error).message });
    }
  }

  /** The time at which the load balancer had done it. */
  async #give(percent: number): Promise<string> {
    const { loadBalancer, recorder, say } = this.parts;
    await loadBalancer.setCandidateShare(percent);
    const at = now();
    recorder.recordJson(ARTIFACTS.step(percent), { at, percent, split: await loadBalancer.read() });
    this.#steps.push({ percent, at });
    say(`${percent}% of the traffic goes to the candidate`);
    return at;
  }

  async #look(release: Release): Promise<Action> {
    const { webhook, load, recorder, onLook } = this.parts;
    const alerts = webhook.take();
    // Who has spoken is not made to wait for Prometheus.
    const isEnd = this.#abort !== undefined || alerts.some(({ action }) => action === "rollback");
    const inputs: LookInputs = {
      n: ++this.#looks,
      at: now(),
      step_percent: release.percent,
      is_warming: this.#isWarming,
      alerts,
      abort: this.#abort ?? null,
      prometheus: isEnd ? [] : await this.#askPrometheus(),
      excused: { integrity_failures: load.excusedIntegrityFailures },
    };
    const action = release.look(lookOf(inputs));
    this.#lastAt = inputs.at;
    this.#answers.push(inputs.prometheus);
    this.#points.push(pointOf(inputs, release));
    this.#isOver = action.do === "end";
    if (action.do === "end" && action.outcome !== "promoted") await this.#withdraw();
    recorder.recordJson(ARTIFACTS.look(inputs.n), { ...inputs, verdict: release.verdict, action });
    const held = action.do === "wait" ? action.held : [];
    onLook({ step_percent: release.percent, step_started_at: this.#steps.at(-1)?.at ?? "", verdict: release.verdict.verdict, held });
    return action;
  }

  async #askPrometheus(): Promise<Asked[]> {
    const { prometheus } = this.parts;
    const atS = Date.now() / 1000;
    return Promise.all(LOOK_QUERIES.map((query) => prometheus.ask(query, atS)));
  }

  /** Writes down what is known at the times that the plan names, of which several may have passed since the last look. */
  async #checkpointsDue(release: Release): Promise<void> {
    const { checkpoint_every_s: everyS, snapshots_s: snapshots } = this.parts.plan;
    for (let dueS = (this.#checkpoints + 1) * everyS; dueS <= release.planS(secondsOf(this.#lastAt)); dueS += everyS) {
      await this.#checkpoint(release, dueS);
      if (snapshots.includes(dueS)) await this.#snapshot(dueS);
    }
  }

  async #checkpoint(release: Release, dueS: number): Promise<void> {
    const { recorder, loadBalancer, load, prometheus, say } = this.parts;
    const n = ++this.#checkpoints;
    const { tracks, split: observed } = load.summary();
    const split = await loadBalancer.read();
    const targets = await prometheus.ask('up{track=~"canary|stable"}');
    recorder.recordJson(ARTIFACTS.checkpoint(n), {
      n,
      due_plan_s: dueS,
      at: now(),
      step_percent: release.percent,
      checks: [
        { check: "the load balancer gives the candidate the share of this step", passed: split.candidatePercent === release.percent },
        { check: "every target is up", passed: vectorIn(targets).length > 0 && vectorIn(targets).every(({ value: [, up] }) => up === "1") },
      ],
      split,
      targets,
      load: { tracks, split: observed },
      verdict: release.verdict,
      counted: release.counted,
    });
    say(`checkpoint ${n}: ${release.verdict.verdict}; requests ${tracks.stable.requests} stable, ${tracks.canary.requests} candidate`);
  }

  /** What the judge saw and what the charts showed, as Prometheus answered it. */
  async #snapshot(dueS: number): Promise<void> {
    const { recorder, prometheus } = this.parts;
    const charts = [];
    for (const { uid, panels } of dashboards()) {
      for (const { title, targets } of panels) charts.push({ dashboard: uid, title, answers: await Promise.all(targets.map(({ expr }) => prometheus.ask(withInterval(expr)))) });
    }
    recorder.recordJson(ARTIFACTS.snapshot(dueS), { due_plan_s: dueS, at: now(), prometheus: await this.#askPrometheus(), charts });
  }

  /** Gives the candidate nothing. The time at which the load balancer had done it. @throws LoadBalancerError when it does not within a minute */
  async #withdraw(): Promise<string> {
    const { loadBalancer, say } = this.parts;
    if (this.#withdrawnAt !== undefined) return this.#withdrawnAt;
    for (const giveUpAtMs = Date.now() + WITHDRAW_WITHIN_MS; ;) {
      try {
        await loadBalancer.setCandidateShare(0);
        return (this.#withdrawnAt = now());
      } catch (error) {
        say(`the candidate could not be taken back: ${(error as Error).message}`);
        if (Date.now() > giveUpAtMs) throw error;
      }
      await delay(WITHDRAW_AGAIN_MS);
    }
  }

  /** What was heard by then: alerts that come later are in no file. */
  async #writeDown(end: End, { before, decided, withdrawn }: { before: Split; decided: string; withdrawn: string | undefined }): Promise<readonly HeardAlert[]> {
    const { recorder, loadBalancer, prometheus, webhook, load, plan } = this.parts;
    // The last requests have to be scraped before they can be counted.
    await delay(2 * plan.look_every_s * 1_000);
    const after = await loadBalancer.read();
    recorder.recordJson(ARTIFACTS.record[end.outcome], { outcome: end.outcome, reasons: end.reasons, decided_at: decided, weight_0_at: withdrawn ?? null, split: after });
    recorder.recordJson(ARTIFACTS.after, { at: now(), split: after });
    recorder.recordRows(ARTIFACTS.requests, load.rows.map((row) => ({ ...row })));
    recorder.recordJson(ARTIFACTS.summary, { ...load.summary() });
    const heard = [...webhook.heard];
    recorder.recordJson(ARTIFACTS.alerts, { heard, at_the_end: await prometheus.ask('ALERTS{memseal_action!=""}') });
    const last = await this.#askPrometheus();
    this.#answers.push(last);
    recorder.recordJson(ARTIFACTS.agreement, { first: this.#answers[0] ?? [], last, ...agreementOf({ before, after, answers: this.#answers, rows: load.rows }) });
    await this.#recordDashboards(secondsOf(this.#steps[0]?.at ?? now()));
    return heard;
  }

  /** Each chart over the whole release. */
  async #recordDashboards(fromS: number): Promise<void> {
    const { recorder, prometheus, plan } = this.parts;
    const toS = Date.now() / 1000;
    // Prometheus answers at most 11,000 values a series; a chart needs no more than a few hundred.
    const stepS = Math.max(plan.look_every_s, (toS - fromS) / 300);
    for (const dashboard of dashboards()) {
      const answers = [];
      for (const { title, targets } of dashboard.panels) {
        answers.push({ title, answers: await Promise.all(targets.map(({ expr }) => prometheus.askRange(withInterval(expr), fromS, toS, stepS))) });
      }
      recorder.recordJson(ARTIFACTS.dashboard(dashboard.uid), { dashboard, panels: answers });
    }
  }
}

/** Grafana fills this in; a minute holds four scrapes of production. */
function withInterval(expr: string): string {
  return expr.replaceAll("$__rate_interval", "1m");
}
