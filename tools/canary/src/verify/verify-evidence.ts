import { isDeepStrictEqual } from "node:util";
import { EvidenceError } from "@memseal/evidence";
import { z } from "zod";
import { splitIn } from "../adapters/haproxy.js";
import type { Split } from "../adapters/load-balancer.js";
import { ASKED, LOOK_QUERIES, type Asked } from "../adapters/prometheus.js";
import { openBundle, type Bundle, type OpenOptions } from "../bundle/open-bundle.js";
import { headerText } from "../bundle/recorder.js";
import { dashboards } from "../dashboards.js";
import { jsonIn } from "../json.js";
import type { LoadRow } from "../load/load-row.js";
import { summarize } from "../load/load-summary.js";
import type { LookPoint } from "../report/look-point.js";
import { reportHtml, type ReportInputs } from "../report/report.js";
import { agreementOf, disagreements } from "../runner/agreement.js";
import type { HeardAlert } from "../runner/alert-webhook.js";
import { ARTIFACTS } from "../runner/artifacts.js";
import { decisionOf, decisionText, type Decision, type StepTaken } from "../runner/decision.js";
import { HEARD, LOOK_FILE, lookOf, pointOf, type LookFile } from "../runner/look-file.js";
import { Release } from "../runner/release.js";
import { planOf, RELEASE_PLAN, type ReleasePlan } from "../runner/release-plan.js";
import { secondsOf } from "../seconds.js";

const TIME = z.iso.datetime();
const SPLIT = z.looseObject({ candidatePercent: z.number(), raw: z.string() });
const WITH_SPLIT = z.looseObject({ at: TIME, split: SPLIT });
const PREFLIGHT = z.looseObject({ checks: z.array(z.looseObject({ check: z.string(), passed: z.boolean() })).min(1) });
const CHECKPOINT = z.looseObject({ n: z.number(), due_plan_s: z.number(), at: TIME, split: SPLIT });
const SNAPSHOT = z.looseObject({ due_plan_s: z.number(), at: TIME, prometheus: z.array(ASKED) });
const ALERTS = z.looseObject({ heard: z.array(HEARD) });
const AGREEMENT = z.looseObject({ first: z.array(ASKED), last: z.array(ASKED) });
const RECORD = z.looseObject({ outcome: z.string(), decided_at: TIME, weight_0_at: TIME.nullable(), split: SPLIT });
const ROW = z.looseObject({ n: z.number(), at: TIME });

/** What is said in a file was known no longer before the file was written, in seconds. */
const WRITTEN_WITHIN_S = 60;
/** A release that nobody looked at for so long was not watched, in seconds; or for twice as long as a series may be silent. */
const UNSEEN_S = 30;

/**
 * Whether the evidence of a release shows what it says: it is whole, unaltered and signed (openBundle), holds what every
 * release leaves behind and nothing else, was watched at every look for as long as its plan asks, and every number that can be computed from
 * what was recorded, is computed again: the judge's verdicts, the steps, the split, the load's summary, who counted how many requests, and the decision.
 *
 * What it cannot show: that whoever has the key and the machine did not make all of it up alike (docs/threat-model.md).
 * @throws EvidenceError for the first thing that is not so
 */
export function verifyEvidence(dir: string, options: OpenOptions): Decision {
  const bundle = openBundle(dir, options);
  const evidence = new Evidence(bundle);
  const plan = evidence.plan();
  evidence.assertPreflight();
  const steps = evidence.steps(plan);
  const looks = evidence.looks();
  const { decision, points } = replay(plan, steps, looks);
  if (decision.outcome !== bundle.facts.outcome) throw new EvidenceError(`it was signed as ${bundle.facts.outcome}, and is ${decision.outcome}`);
  evidence.assertCheckpoints(plan, decision, looks);
  const heard = evidence.assertAlerts(looks);
  const rows = evidence.assertLoad(decision);
  evidence.assertCounters(looks, rows, decision);
  evidence.assertDecision(decision);
  evidence.assertReport({ plan, decision, rows, heard, looks: points });
  evidence.assertNothingElse();
  return decision;
}

/** Reads a bundle's artifacts, each of which must be one. */
class Evidence {
  readonly #recordedAt: ReadonlyMap<string, string>;
  readonly #read = new Set<string>();

  constructor(private readonly bundle: Bundle) {
    this.#recordedAt = new Map(bundle.entries.map(({ file, recorded_at }) => [file, recorded_at]));
  }

  plan(): ReleasePlan {
    const { plan } = this.#json(ARTIFACTS.plan, z.looseObject({ plan: RELEASE_PLAN }));
    const scrapeS = plan.look_every_s;
    if (!isDeepStrictEqual(plan, planOf({ scrapeS, evaluationS: scrapeS }, this.bundle.facts.time_scale))) throw new EvidenceError(`${ARTIFACTS.plan} is not the plan of a release`);
    return plan;
  }

  assertPreflight(): void {
    const failed = this.#json(ARTIFACTS.preflight, PREFLIGHT).checks.filter(({ passed }) => !passed);
    if (failed.length > 0) throw new EvidenceError(`the preflight failed: ${failed.map(({ check }) => check).join("; ")}`);
    this.#split(ARTIFACTS.before, 0);
  }

  /** Those that were taken, in the plan's order. */
  steps(plan: ReleasePlan): StepTaken[] {
    return plan.steps.flatMap(({ percent }) => {
      const file = ARTIFACTS.step(percent);
      return this.#recordedAt.has(file) ? [{ percent, at: this.#split(file, percent).at }] : [];
    });
  }

  looks(): LookFile[] {
    const looks: LookFile[] = [];
    for (let n = 1; this.#recordedAt.has(ARTIFACTS.look(n)); n++) {
      const file = ARTIFACTS.look(n);
      const look = bodyOf(this.#json(file, LOOK_FILE.extend({ header: z.unknown() })));
      if (look.n !== n) throw new EvidenceError(`${file} is look ${look.n}`);
      this.#assertWritten(file, look.at);
      if (look.prometheus.length > 0) this.#assertAnswers(file, look.prometheus, look.at);
      looks.push(look);
    }
    return looks;
  }

  assertCheckpoints(plan: ReleasePlan, decision: Decision, looks: readonly LookFile[]): void {
    const startS = secondsOf(decision.steps[0]?.at ?? "");
    const lastS = Math.max(...looks.filter(({ action }) => action.do !== "end").map(({ at }) => (secondsOf(at) - startS) * plan.time_scale));
    for (let n = 1; n * plan.checkpoint_every_s <= lastS; n++) {
      const dueS = n * plan.checkpoint_every_s;
      const file = ARTIFACTS.checkpoint(n);
      const checkpoint = this.#json(file, CHECKPOINT);
      this.#assertDue(file, checkpoint, dueS, { startS, plan });
      assertSplit(file, checkpoint.split);
      if (!plan.snapshots_s.includes(dueS)) continue;
      const snapshot = this.#json(ARTIFACTS.snapshot(dueS), SNAPSHOT);
      this.#assertDue(ARTIFACTS.snapshot(dueS), snapshot, dueS, { startS, plan });
      this.#assertAnswers(ARTIFACTS.snapshot(dueS), snapshot.prometheus, snapshot.at);
    }
  }

  /** Every alert that was heard. */
  assertAlerts(looks: readonly LookFile[]): HeardAlert[] {
    const { heard } = this.#json(ARTIFACTS.alerts, ALERTS);
    const [first, last] = [looks[0]?.at ?? "", looks.at(-1)?.at ?? ""];
    const seen = looks.flatMap(({ alerts }) => alerts);
    const during = heard.filter(({ received_at }) => received_at > first && received_at < last);
    const holds = (all: readonly unknown[], one: unknown) => all.some((other) => isDeepStrictEqual(other, one));
    if (!during.every((one) => holds(seen, one)) || !seen.every((one) => holds(heard, one))) throw new EvidenceError(`${ARTIFACTS.alerts} does not hold the alerts of the looks`);
    return heard;
  }

  /** The rows of the release's own load. */
  assertLoad(decision: Decision): LoadRow[] {
    const { started_at: from, ended_at: to } = this.bundle.facts;
    const rows = this.#text(ARTIFACTS.requests).trimEnd().split("\n").slice(1).map(jsonIn) as LoadRow[];
    const isRow = (row: LoadRow) => ROW.safeParse(row).success && row.at >= from && row.at <= to;
    const numbers = rows.map(({ n }) => n).sort((a, b) => a - b);
    if (!rows.every(isRow) || numbers.some((n, i) => n !== i + 1)) throw new EvidenceError(`${ARTIFACTS.requests} lacks a request, or has one of another time`);
    const summary = bodyOf(this.#json(ARTIFACTS.summary, z.looseObject({})));
    if (!isSame(summary, summarize(rows))) throw new EvidenceError(`${ARTIFACTS.summary} is not the summary of ${ARTIFACTS.requests}`);
    if (decision.outcome !== "rolled_back" || this.#recordedAt.has(ARTIFACTS.burst)) this.#json(ARTIFACTS.burst, z.looseObject({ requests: z.array(ROW).min(1) }));
    return rows;
  }

  assertCounters(looks: readonly LookFile[], rows: readonly LoadRow[], decision: Decision): void {
    const { first, last, ...agreement } = this.#json(ARTIFACTS.agreement, AGREEMENT);
    const [before, after] = [this.#split(ARTIFACTS.before, 0), this.#split(ARTIFACTS.after, decision.outcome === "promoted" ? 100 : 0)];
    const counted = agreementOf({ before: before.split, after: after.split, answers: [first, ...looks.map(({ prometheus }) => prometheus), last], rows });
    if (!isSame(bodyOf(agreement), counted)) throw new EvidenceError(`${ARTIFACTS.agreement} is not what the counters say`);
    const differing = disagreements(counted, this.bundle.facts.mode);
    // What was rolled back may have lost its counters with its processes.
    if (decision.outcome !== "rolled_back" && differing.length > 0) throw new EvidenceError(`the counters do not agree within 1%: ${differing.join("; ")}`);
  }

  assertDecision(decision: Decision): void {
    const recorded = bodyOf(this.#json(ARTIFACTS.decision, z.looseObject({})));
    if (!isSame(recorded, decision)) throw new EvidenceError(`${ARTIFACTS.decision} is not what the looks lead to`);
    const { facts } = this.bundle;
    if (this.#text(ARTIFACTS.decisionText) !== decisionText(headerText(facts), decision)) throw new EvidenceError(`${ARTIFACTS.decisionText} does not say what ${ARTIFACTS.decision} does`);
    const file = ARTIFACTS.record[decision.outcome];
    const record = this.#json(file, RECORD);
    assertSplit(file, record.split);
    const isPromoted = decision.outcome === "promoted";
    if (record.outcome !== decision.outcome || record.decided_at < decision.ended_at || (record.weight_0_at === null) !== isPromoted || record.split.candidatePercent !== (isPromoted ? 100 : 0)) {
      throw new EvidenceError(`${file} is not of this decision`);
    }
    for (const { uid } of dashboards()) this.#json(ARTIFACTS.dashboard(uid), z.looseObject({ panels: z.array(z.unknown()).min(1) }));
  }

  assertReport(shown: Omit<ReportInputs, "header">): void {
    const { release, mode, time_scale } = this.bundle.facts;
    if (this.#text(ARTIFACTS.report) !== reportHtml({ header: { release, mode, time_scale }, ...shown })) throw new EvidenceError(`${ARTIFACTS.report} does not show what was recorded`);
  }

  assertNothingElse(): void {
    const unread = [...this.#recordedAt.keys()].filter((file) => !this.#read.has(file));
    if (unread.length > 0) throw new EvidenceError(`${unread[0]} is no part of such a release`);
  }

  #text(file: string): string {
    this.#read.add(file);
    return this.bundle.text(file);
  }

  #json<T>(file: string, schema: z.ZodType<T>): T {
    const parsed = schema.safeParse(jsonIn(this.#text(file)));
    if (!parsed.success) throw new EvidenceError(`${file} is not as the runner writes it: ${parsed.error.issues.map(({ path }) => path.join(".")).join(", ")}`);
    return parsed.data;
  }

  #split(file: string, percent: number): { at: string; split: Split } {
    const { at, split } = this.#json(file, WITH_SPLIT);
    this.#assertWritten(file, at);
    const read = assertSplit(file, split);
    if (read.candidatePercent !== percent) throw new EvidenceError(`${file}: the load balancer gave the candidate ${read.candidatePercent}%, not ${percent}%`);
    return { at, split: read };
  }

  #assertDue(file: string, { at, due_plan_s }: { at: string; due_plan_s: number }, dueS: number, { startS, plan }: { startS: number; plan: ReleasePlan }): void {
    this.#assertWritten(file, at);
    if (due_plan_s !== dueS || (secondsOf(at) - startS) * plan.time_scale < dueS) throw new EvidenceError(`${file} is of before it was due`);
  }

  /** What a file says of a time was written down at that time. */
  #assertWritten(file: string, at: string): void {
    const writtenS = secondsOf(this.#recordedAt.get(file) ?? "") - secondsOf(at);
    if (!(writtenS >= 0 && writtenS <= WRITTEN_WITHIN_S) || at < this.bundle.facts.started_at) throw new EvidenceError(`${file} is of another time than it was written at`);
  }

  /** Answers to what a look asks, of the time at which it looked. */
  #assertAnswers(file: string, answers: readonly Asked[], at: string): void {
    const recordedAt = this.#recordedAt.get(file) ?? "";
    const isOfThen = ({ url, asked_at, answered_at }: Asked) =>
      asked_at >= at && asked_at <= answered_at && answered_at <= recordedAt && Math.abs(Number(new URL(url).searchParams.get("time")) - secondsOf(at)) < WRITTEN_WITHIN_S;
    if (!isDeepStrictEqual(answers.map(({ query }) => query), [...LOOK_QUERIES]) || !answers.every(isOfThen)) throw new EvidenceError(`${file} holds answers to other questions, or of another time`);
  }
}

/** The decision that the looks lead to. @throws EvidenceError where a look or a step is not what those before it lead to */
function replay(plan: ReleasePlan, steps: readonly StepTaken[], looks: readonly LookFile[]): { decision: Decision; points: LookPoint[] } {
  const [begun, ...later] = steps;
  if (begun === undefined || begun.percent !== plan.steps[0]?.percent) throw new EvidenceError("no traffic was given to the candidate");
  const release = new Release(plan, secondsOf(begun.at));
  let lastAt = begun.at;
  const points: LookPoint[] = [];
  const unseenS = Math.max(UNSEEN_S, 2 * plan.stale_after_s);
  for (const [i, look] of looks.entries()) {
    const name = ARTIFACTS.look(look.n);
    if (look.at < lastAt) throw new EvidenceError(`${name} is earlier than what was before it`);
    if (secondsOf(look.at) - secondsOf(lastAt) > unseenS) throw new EvidenceError(`nobody looked for more than ${unseenS} s before ${name}`);
    if (look.step_percent !== release.percent) throw new EvidenceError(`${name} is of another step`);
    const action = release.look(lookOf(look));
    if (!isSame(look.action, action) || !isSame(look.verdict, release.verdict)) throw new EvidenceError(`${name} is not judged as what it holds is`);
    lastAt = look.at;
    points.push(pointOf(look, release));
    if (action.do === "end") {
      if (i !== looks.length - 1 || later.length > 0) throw new EvidenceError(`there is more after ${name}, which ends the release`);
      return { decision: decisionOf(release, action, { steps, count: looks.length, lastAt }), points };
    }
    if (action.do === "step") {
      const next = later.shift();
      // A load balancer that refused leaves a look with its fault, and no step.
      if (next === undefined) continue;
      if (next.percent !== action.percent || next.at < look.at) throw new EvidenceError(`the step to ${next.percent}% is not the one that ${name} leads to`);
      release.stepped(secondsOf(next.at));
      lastAt = next.at;
    }
  }
  throw new EvidenceError("the last look does not end the release");
}

/** What is recorded of a split is what the load balancer wrote. */
function assertSplit(file: string, split: z.infer<typeof SPLIT>): Split {
  let read: Split;
  try {
    read = splitIn(split.raw);
  } catch (error) {
    throw new EvidenceError(`${file} holds no statistics of the load balancer`, { cause: error });
  }
  if (!isSame(split, read)) throw new EvidenceError(`${file} does not say what the load balancer wrote`);
  return read;
}

/** What an artifact says beside which release it is of. */
function bodyOf<T extends object>(artifact: T): Omit<T, "header"> {
  const body: T & { header?: unknown } = { ...artifact };
  delete body.header;
  return body;
}

/** As JSON has them. */
function isSame(recorded: unknown, computed: unknown): boolean {
  return isDeepStrictEqual(recorded, JSON.parse(JSON.stringify(computed)));
}
