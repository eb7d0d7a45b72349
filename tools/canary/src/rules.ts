import { allowedShare, partsOf, seriesOf, type Guardrail, type NeverGuardrail, type StatisticalGuardrail } from "@memseal/guardrails";
import { duration, staleAfterS, type Cadence } from "./cadence.js";
import { compared, guardrails, isCompared, isLimited, logEvidence, neededToRollBack, statistical } from "./evidence.js";
import { count, series } from "./promql.js";
import { jobOf, shownBy } from "./services.js";

/** rollback: the candidate has to go, without anybody asked. hold: it can be judged by nobody, and must not go on. heartbeat: all is well so far. */
export type Action = "rollback" | "hold" | "heartbeat";

export interface Alert {
  readonly name: string;
  readonly expr: string;
  readonly forS: number;
  readonly action: Action;
  readonly guardrail?: string;
  readonly summary: string;
  /** The heading of its runbook, where it is not the alert's name. */
  readonly runbook?: string;
}

/** A rule as Prometheus reads it. */
export type Rule =
  | { record: string; expr: string; labels?: Record<string, string> }
  | { alert: string; expr: string; for?: string; labels: Record<string, string>; annotations: Record<string, string> };

export interface RuleGroup {
  name: string;
  interval: string;
  rules: Rule[];
}

/** Where a person reads on. */
const RUNBOOKS = "docs/operations.md";

export const RECORDS = {
  trials: "memseal:guardrail_trials:count5m",
  breaches: "memseal:guardrail_breaches:count5m",
  ratio: "memseal:guardrail_breaches:ratio5m",
  allowed: "memseal:guardrail_allowed:ratio",
  allowedTrials: "memseal:guardrail_allowed:count5m",
  ofBoth: "memseal:guardrail_breaches_of_both:count5m",
  asStable: "memseal:guardrail_expected_as_stable:count5m",
  overLimit: "memseal:guardrail_over_limit:log_evidence5m",
  worseThanStable: "memseal:guardrail_worse_than_stable:log_evidence5m",
  /** That the share is below twice what is allowed: what a promotion needs. */
  withinTwice: "memseal:guardrail_within_twice:log_evidence5m",
} as const;

const CANARY = 'track="canary"';
/** Nothing is expected of a candidate while there is none. */
const DURING_RELEASE = `and on () up{${CANARY}}`;

/** Rules that give each alert below what it looks at, in the order they need each other. */
export function recordingRules(): Rule[] {
  const { trials, breaches, ratio, allowed, allowedTrials, ofBoth, asStable, overLimit, worseThanStable, withinTwice } = RECORDS;
  const ids = compared.map(({ id }) => id);
  const beside = series({ metric: breaches, labels: { guardrail: ids } });
  const asked = (more = "") => `sum by (guardrail) (${series({ metric: trials, labels: { guardrail: ids } }, ...(more === "" ? [] : [more]))})`;
  const ofCanary = (record: string) => series({ metric: record }, CANARY);
  return [
    ...statistical.flatMap((guardrail): Rule[] => {
      const labels = { guardrail: guardrail.id };
      const parts = partsOf(guardrail);
      return [
        { record: trials, expr: count(parts, "trials"), labels },
        { record: breaches, expr: count(parts, "breaches"), labels },
        { record: allowed, expr: `vector(${share(allowedShare(guardrail))})`, labels },
      ];
    }),
    { record: ratio, expr: `${breaches} / ${trials}` },
    { record: allowedTrials, expr: `${trials} * on (guardrail) group_left () ${allowed}` },
    { record: ofBoth, expr: `sum by (guardrail) (${beside})`, labels: { track: "canary" } },
    { record: asStable, expr: `sum by (guardrail) (${beside}) * ${asked(CANARY)} / ${asked()}`, labels: { track: "canary" } },
    { record: overLimit, expr: logEvidence({ trials, breaches, expected: allowedTrials, side: "more" }) },
    { record: worseThanStable, expr: logEvidence({ trials: ofBoth, breaches: ofCanary(breaches), expected: asStable, side: "more" }) },
    { record: withinTwice, expr: logEvidence({ trials, breaches, expected: `2 * ${allowedTrials}`, side: "fewer" }) },
  ];
}

/** 1 - 0.95 is 0.05 to people. */
function share(value: number): number {
  return Number(value.toPrecision(12));
}

export function alerts(cadence: Cadence): Alert[] {
  return [
    ...guardrails.map((guardrail) => breached(guardrail, cadence)),
    ...guardrails.map((guardrail) => absent(guardrail, cadence)),
    ...blindSpots(cadence),
  ];
}

/** `query_latency`: `MemsealQueryLatency`. */
export function alertName({ id }: Guardrail): string {
  return `Memseal${id.split("_").map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("")}`;
}

function breached(guardrail: Guardrail, cadence: Cadence): Alert {
  const expr = guardrail.kind === "never" ? eventExpr(guardrail) : evidenceExpr(guardrail, cadence);
  return { name: alertName(guardrail), expr, forS: 0, action: "rollback", guardrail: guardrail.id, summary: `breached by the candidate: ${guardrail.title}` };
}

/** Since its processes began, not since a while ago: the first event is in no difference of two samples. */
function eventExpr({ events }: NeverGuardrail): string {
  return events.map((selector) => `sum by (track) (${series(selector, CANARY)}) > 0`).join(" or ");
}

function evidenceExpr(guardrail: StatisticalGuardrail, cadence: Cadence): string {
  const needed = neededToRollBack(cadence).toFixed(3);
  const reaches = (record: string) => `${series({ metric: record, labels: { guardrail: [guardrail.id] } }, CANARY)} >= ${needed}`;
  const records = [...(isLimited(guardrail) ? [RECORDS.overLimit] : []), ...(isCompared(guardrail) ? [RECORDS.worseThanStable] : [])];
  return records.map(reaches).join(" and ");
}

/** A missing series compares as good, so each that is needed must be there, of each process, and what is computed of them, too. */
function absent(guardrail: Guardrail, cadence: Cadence): Alert {
  const tracks = isCompared(guardrail) ? 'track=~"canary|stable"' : CANARY;
  const missing = seriesOf(guardrail).flatMap((selector) => shownBy(selector.metric).map((service) =>
    `up{job="${jobOf(service)}",${tracks}} unless on (job, instance, track) ${series(selector)}`));
  return {
    name: `${alertName(guardrail)}Absent`,
    expr: `(${[...missing, ...notComputed(guardrail)].join(" or ")}) ${DURING_RELEASE}`,
    forS: staleAfterS(cadence),
    action: "rollback",
    guardrail: guardrail.id,
    summary: `cannot be seen: ${guardrail.title}`,
    runbook: "Memseal...Absent",
  };
}

function notComputed(guardrail: Guardrail): string[] {
  if (guardrail.kind === "never") return [];
  const [first] = seriesOf(guardrail);
  const records = [isLimited(guardrail) ? RECORDS.overLimit : RECORDS.worseThanStable];
  return records.flatMap((record) => shownBy(first.metric).map((service) =>
    `up{job="${jobOf(service)}",${CANARY}} unless on () ${series({ metric: record, labels: { guardrail: [guardrail.id] } }, CANARY)}`));
}

/** What no limit shows. */
function blindSpots(cadence: Cadence): Alert[] {
  const forS = staleAfterS(cadence);
  const ofMemseal = 'job=~"memseal-.+"';
  return [
    { name: "MemsealCanaryDown", expr: `up{${CANARY}} == 0`, forS, action: "rollback", summary: "a process of the candidate cannot be scraped" },
    {
      name: "MemsealCanaryVanished",
      expr: `group by (job) (max_over_time(up{${CANARY}}[5m])) unless on (job) up{${CANARY}}`,
      forS,
      action: "rollback",
      summary: "the candidate's processes are no targets any more",
    },
    {
      name: "MemsealTrackSilent",
      expr: `(up{${ofMemseal},track=~"canary|stable"} == 1 unless on (job, instance, track) process_start_time_seconds) ${DURING_RELEASE}`,
      forS,
      action: "rollback",
      summary: "a process does not say that it is of the track it is a target of",
    },
    {
      name: "MemsealScrapesStale",
      expr: `time() - timestamp(up{${CANARY}}) > ${forS / 2}`,
      forS: forS / 2,
      action: "rollback",
      summary: "the candidate has targets, and they are not scraped",
    },
    {
      name: "MemsealTargetWithoutTrack",
      expr: `up{${ofMemseal},track!~"canary|stable"}`,
      forS,
      action: "hold",
      summary: "a target has neither the track canary nor stable: nobody would miss it",
    },
    {
      name: "MemsealCanaryIdle",
      expr: `${series({ metric: RECORDS.trials }, CANARY)} == 0`,
      forS,
      action: "hold",
      summary: "nothing of this kind reaches the candidate, so nothing is learnt",
    },
    { name: "MemsealWatchdog", expr: "vector(1)", forS: 0, action: "heartbeat", summary: "always firing: where it stops, Prometheus or Alertmanager has" },
  ];
}

const SEVERITY: Readonly<Record<Action, string>> = { rollback: "critical", hold: "warning", heartbeat: "none" };

export function alertLabels({ action, guardrail }: Alert): Record<string, string> {
  return { severity: SEVERITY[action], memseal_action: action, ...(guardrail === undefined ? {} : { guardrail }) };
}

export function annotations({ name, summary, runbook = name }: Alert): Record<string, string> {
  // The anchor that GitHub makes of a heading.
  return { summary, runbook_url: `${RUNBOOKS}#${runbook.toLowerCase().replaceAll(".", "")}` };
}

/** One group: its rules run one after the other, so each alert sees what was recorded at the same time. */
export function ruleGroups(cadence: Cadence): RuleGroup[] {
  const toRule = (alert: Alert): Rule => ({
    alert: alert.name,
    expr: alert.expr,
    ...(alert.forS === 0 ? {} : { for: duration(alert.forS) }),
    labels: alertLabels(alert),
    annotations: annotations(alert),
  });
  return [{ name: "memseal-guardrails", interval: duration(cadence.evaluationS), rules: [...recordingRules(), ...alerts(cadence).map(toRule)] }];
}
