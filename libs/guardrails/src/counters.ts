import { InvalidArgumentError } from "@memseal/errors";
import type { Tally } from "./e-process.js";
import { partsOf, type Guardrail, type Part } from "./guardrails.js";

/** One sample of one series, as Prometheus answers it. The label `track` says whose it is, `instance` which process's. */
export interface Sample {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Unix time in seconds at which it was scraped, which is not when it was asked for. */
  readonly atS: number;
}

/** What one look at the metrics shows, at a time in Unix seconds. */
export interface Snapshot {
  readonly atS: number;
  readonly samples: readonly Sample[];
  /** Instances that were taken away on purpose so far; others that fall silent are stale. */
  readonly departed?: readonly string[];
}

export type Track = "canary" | "stable";

/** A counter of one series. */
interface Series {
  /** What it counts for; none for a series that nobody watches. */
  readonly roles: readonly Role[];
  readonly track: Track;
  readonly instance: string;
  value: number;
  atS: number;
}

interface Role {
  readonly guardrail: Watched;
  readonly part: number;
}

/** Of one guardrail on one track. */
interface Side {
  trials: number;
  breaches: number;
  /** For each part of the guardrail: when each instance last showed it. */
  readonly seenAtS: Map<string, number>[];
}

interface Watched {
  readonly parts: readonly Part[];
  readonly sides: Readonly<Record<Track, Side>>;
}

/**
 * Counters in, tallies out. A value below the last is a process that began again, and counts whole. Of the candidate every
 * event since its processes began counts, also what came before the first look: a series that is not there before its first
 * event must not hide it. Of the stable release only what comes after it was first seen.
 */
export class Counters {
  readonly #watched: ReadonlyMap<string, Watched>;
  readonly #series = new Map<string, Series>();
  #atS: number;

  /** startedAtS: since when every series is waited for. */
  constructor(guardrails: readonly Guardrail[], private readonly startedAtS: number) {
    const side = (parts: readonly Part[]): Side => ({ trials: 0, breaches: 0, seenAtS: parts.map(() => new Map<string, number>()) });
    this.#watched = new Map(guardrails.map((guardrail) => {
      const parts = partsOf(guardrail);
      return [guardrail.id, { parts, sides: { canary: side(parts), stable: side(parts) } }];
    }));
    this.#atS = startedAtS;
  }

  /** @throws InvalidArgumentError when the snapshot is older than the last */
  read({ atS, samples, departed = [] }: Snapshot): void {
    if (!(atS >= this.#atS)) throw new InvalidArgumentError("snapshot.atS", "must not be before the last");
    this.#atS = atS;
    for (const sample of samples) this.#count(sample, atS);
    for (const { sides } of this.#watched.values()) {
      for (const side of Object.values(sides)) for (const seen of side.seenAtS) for (const instance of departed) seen.delete(instance);
    }
  }

  tally(guardrail: string, track: Track): Tally {
    const { trials, breaches } = this.#side(guardrail, track);
    return { trials, breaches };
  }

  /** Whether every series has been seen at all. */
  isPresent(guardrail: string, track: Track): boolean {
    return this.#side(guardrail, track).seenAtS.every((seen) => seen.size > 0);
  }

  /** How long, in seconds, the oldest of its series has been silent; a series that was never there, since the start. */
  silentS(guardrail: string, track: Track): number {
    const lastSeen = this.#side(guardrail, track).seenAtS.flatMap((seen) => (seen.size === 0 ? [this.startedAtS] : [...seen.values()]));
    return this.#atS - Math.min(...lastSeen);
  }

  #count({ metric, labels, value, atS: scrapedAtS }: Sample, nowS: number): void {
    // What is no count is no evidence: the series stays silent.
    if (!Number.isFinite(value) || value < 0 || !Number.isFinite(scrapedAtS)) return;
    const atS = Math.min(scrapedAtS, nowS);
    const key = keyOf(metric, labels);
    const known = this.#series.get(key);
    const series = known ?? this.#newSeries({ metric, labels, value, atS });
    if (series === undefined) return;
    if (known === undefined) this.#series.set(key, series);
    // A scrape that was seen, or one that comes late: its lower value would look like a process that began again.
    else if (atS <= known.atS) return;
    const increase = value < series.value ? value : value - series.value;
    series.value = value;
    series.atS = atS;
    for (const { guardrail: { parts, sides }, part: i } of series.roles) {
      const side = sides[series.track];
      side.trials += increase * (parts[i]?.trials ?? 0);
      side.breaches += increase * (parts[i]?.breaches ?? 0);
      side.seenAtS[i]?.set(series.instance, atS);
    }
  }

  #newSeries({ metric, labels, value, atS }: Sample): Series | undefined {
    const { track, instance = "" } = labels;
    if (track !== "canary" && track !== "stable") return undefined;
    const roles = [...this.#watched.values()].flatMap((guardrail) => guardrail.parts.flatMap(({ selector }, part) =>
      selector.metric === metric && Object.entries(selector.labels ?? {}).every(([label, values]) => values.includes(labels[label] ?? "")) ? [{ guardrail, part }] : []));
    return { roles, track, instance, value: track === "canary" ? 0 : value, atS };
  }

  #side(id: string, track: Track): Side {
    const watched = this.#watched.get(id);
    if (watched === undefined) throw new InvalidArgumentError("guardrail", "is not watched");
    return watched.sides[track];
  }
}

function keyOf(metric: string, labels: Readonly<Record<string, string>>): string {
  // No label holds a NUL.
  let key = metric;
  for (const label of Object.keys(labels).sort()) key += `\0${label}\0${labels[label]}`;
  return key;
}
