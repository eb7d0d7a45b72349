import type { Sample, Track } from "./counters.js";
import type { Tally } from "./e-process.js";
import type { Guardrail } from "./guardrails.js";

/** The same guardrail over series of its own, so that each can be given any counts. */
export function apart(guardrail: Guardrail): Guardrail {
  const own = (what: string) => [{ metric: `${guardrail.id}_${what}` }];
  switch (guardrail.kind) {
    case "rate":
    case "compared":
      return { ...guardrail, trials: [...own("good"), ...own("bad")], breaches: own("bad") };
    case "quantile":
      return { ...guardrail, histogram: { metric: guardrail.id } };
    case "never":
      return { ...guardrail, events: own("events") };
  }
}

export interface From {
  track: Track;
  atS: number;
  instance?: string;
}

/** What a scrape shows of one that is apart. */
export function samplesOf(guardrail: Guardrail, { trials, breaches }: Tally, { track, atS, instance = "a" }: From): Sample[] {
  const sample = (metric: string, value: number, labels = {}): Sample => ({ metric: `${guardrail.id}_${metric}`, labels: { track, instance, ...labels }, value, atS });
  switch (guardrail.kind) {
    case "rate":
    case "compared":
      return [sample("good", trials - breaches), sample("bad", breaches)];
    case "quantile":
      return [sample("count", trials), sample("bucket", trials - breaches, { le: String(guardrail.limit) })];
    case "never":
      return [sample("events", breaches)];
  }
}
