import { partsOf, type Part, type Selector, type StatisticalGuardrail } from "@memseal/guardrails";
import { duration, PRODUCTION } from "./cadence.js";
import { guardrails } from "./evidence.js";
import { jobOf, SERVICES, shownBy, type Service } from "./services.js";

export type Track = "canary" | "stable";
export const TRACKS: readonly Track[] = ["canary", "stable"];

type Labels = Readonly<Record<string, string>>;

export interface Series {
  readonly metric: string;
  readonly labels: Labels;
  /** At each scrape; null where there was none, `stale` where Prometheus wrote down that it is gone. */
  readonly values: readonly (number | "stale" | null)[];
}

/** Scrapes in a test. */
export const SCRAPES = 32;
/** At which of them something happens: a window before what is asked after it there are samples. */
export const EVENT = 16;

export const always = (value: number): Series["values"] => Array.from({ length: SCRAPES }, () => value);
/** A counter that counts `by` at the event. */
export const jump = (by: number, from = 0): Series["values"] => Array.from({ length: SCRAPES }, (_, i) => (i < EVENT ? from : from + by));
/** Until the event it is there. */
export const until = (value: number, after: "stale" | null): Series["values"] => Array.from({ length: SCRAPES }, (_, i) => (i < EVENT ? value : i === EVENT ? after : null));
/** Before the event it is not there. */
export const onlySince = (value: number): Series["values"] => Array.from({ length: SCRAPES }, (_, i) => (i < EVENT ? null : value));

export interface Process {
  readonly service: Service;
  readonly track: Track;
  readonly instance?: string;
}

function target({ service, track, instance = `${service}-${track}` }: Process): Record<string, string> {
  return { job: jobOf(service), instance, track };
}

/** Everything that Prometheus has in a test. */
export class World {
  private constructor(private readonly series: ReadonlyMap<string, Series>) {}

  /** Each service once on each track, every series at 0. */
  static quiet(): World {
    return SERVICES.flatMap((service) => TRACKS.map((track): Process => ({ service, track }))).reduce((world, process) => world.withProcess(process), new World(new Map()));
  }

  /** One more process with all it shows, at 0. */
  withProcess(process: Process): World {
    const shown = guardrails.flatMap(partsOf).map(({ selector }) => selector).filter(({ metric }) => shownBy(metric).includes(process.service));
    return this.with(
      { metric: "up", labels: target(process), values: always(1) },
      { metric: "process_start_time_seconds", labels: target(process), values: always(1) },
      ...shown.map((selector) => ({ ...exampleOf(selector, process), values: always(0) })),
    );
  }

  /** These in place of what was there. */
  with(...series: readonly Series[]): World {
    return new World(new Map([...this.series, ...series.map((one): [string, Series] => [nameOf(one), one])]));
  }

  /** Without what matches. */
  without(selector: Selector, of: Partial<Process> = {}): World {
    return new World(new Map([...this.series].filter(([, one]) => !(matches(selector, one) && isOf(one, of)))));
  }

  /** With every series of these processes changed. */
  changed(of: Partial<Process>, change: (series: Series) => Series): World {
    return new World(new Map([...this.series.values()].map((one) => (isOf(one, of) ? change(one) : one)).map((one) => [nameOf(one), one])));
  }

  /** A guardrail's counts of the event. */
  counting(guardrail: StatisticalGuardrail, track: Track, counts: { trials: number; breaches: number }, past = 0): World {
    return this.with(...seriesCounting(guardrail, track, counts, past));
  }

  /** As promtool reads it. */
  input(): { series: string; values: string }[] {
    return [...this.series].map(([series, { values }]) => ({ series, values: runs(values) }));
  }
}

function isOf({ labels }: Series, { service, track, instance }: Partial<Process>): boolean {
  return (service === undefined || labels.job === jobOf(service)) && (track === undefined || labels.track === track) && (instance === undefined || labels.instance === instance);
}

export function matches(selector: Selector, { metric, labels }: Pick<Series, "metric" | "labels">): boolean {
  return metric === selector.metric && Object.entries(selector.labels ?? {}).every(([label, values]) => values.includes(labels[label] ?? ""));
}

/** A series that a selector takes: of each label the first of its values. */
export function exampleOf({ metric, labels = {} }: Selector, process: Process): Pick<Series, "metric" | "labels"> {
  return { metric, labels: { ...Object.fromEntries(Object.entries(labels).map(([label, [first = ""]]) => [label, first])), ...target(process) } };
}

function seriesCounting(guardrail: StatisticalGuardrail, track: Track, { trials, breaches }: { trials: number; breaches: number }, past: number): Series[] {
  const shownIn = (selector: Selector) => exampleOf(selector, { service: shownBy(selector.metric)[0], track });
  if (guardrail.kind === "quantile") {
    const [all, within] = partsOf(guardrail).map(({ selector }: Part) => shownIn(selector));
    return [{ ...all, values: jump(trials, past) }, { ...within, values: jump(trials - breaches, past) }];
  }
  const [good, bad] = [shownIn(guardrail.trials[0]), shownIn(guardrail.breaches[0])];
  const isTrial = guardrail.trials.some((selector) => matches(selector, bad));
  return [{ ...good, values: jump(isTrial ? trials - breaches : trials, past) }, { ...bad, values: jump(breaches) }];
}

function nameOf({ metric, labels }: Pick<Series, "metric" | "labels">): string {
  return `${metric}{${Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`).join(",")}}`;
}

/** `0 0 0 7 7` is `0x2 7x1`. */
function runs(values: Series["values"]): string {
  const parts: string[] = [];
  for (let i = 0; i < values.length;) {
    const value = values[i];
    let end = i + 1;
    while (end < values.length && values[end] === value) end++;
    const times = end - i;
    parts.push(value === null ? `_x${times}` : times === 1 || value === "stale" ? Array.from({ length: times }, () => String(value)).join(" ") : `${value}x${times - 1}`);
    i = end;
  }
  return parts.join(" ");
}

/** When a scrape was, as promtool reads it. */
export function at(scrape: number): string {
  return duration(scrape * PRODUCTION.scrapeS);
}
