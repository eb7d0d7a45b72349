import { partsOf, type Sample } from "@memseal/guardrails";
import { z } from "zod";
import { guardrails } from "../evidence.js";
import { jsonIn } from "../json.js";

const ANSWER_WITHIN_MS = 5_000;

/** A question to Prometheus and its answer as it came; without a status where none came. */
export const ASKED = z.strictObject({
  query: z.string(),
  url: z.string(),
  asked_at: z.iso.datetime(),
  answered_at: z.iso.datetime(),
  status: z.number().int().nullable(),
  body: z.string(),
});
export type Asked = z.infer<typeof ASKED>;

/** Prometheus' HTTP API. It answers nothing but what was asked: who reads an answer decides whether it is one. */
export class PrometheusClient {
  /** url: such as http://127.0.0.1:9090, without credentials, since it is kept with the evidence. */
  constructor(private readonly url: string) {}

  /** The value now, or at a Unix time in seconds. */
  ask(query: string, atS = Date.now() / 1000): Promise<Asked> {
    return this.#get("query", query, { time: atS.toFixed(3) });
  }

  /** Values from one Unix time to another, so many seconds apart. */
  askRange(query: string, fromS: number, toS: number, stepS: number): Promise<Asked> {
    return this.#get("query_range", query, { start: fromS.toFixed(3), end: toS.toFixed(3), step: stepS.toFixed(3) });
  }

  /** Every target that it scrapes. */
  targets(): Promise<Asked> {
    return this.#get("targets", "", { state: "active" });
  }

  async #get(path: string, query: string, more: Record<string, string>): Promise<Asked> {
    const url = new URL(`/api/v1/${path}`, this.url);
    for (const [name, value] of Object.entries(query === "" ? more : { query, ...more })) url.searchParams.set(name, value);
    const asked = { query, url: url.href, asked_at: new Date().toISOString() };
    const answered = (status: number | null, body: string): Asked => ({ ...asked, answered_at: new Date().toISOString(), status, body });
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
      return answered(response.status, await response.text());
    } catch (error) {
      const { name, cause } = error as Error & { cause?: { code?: string } };
      return answered(null, cause?.code ?? name);
    }
  }
}

const OF_BOTH = 'track=~"canary|stable"';
const parts = guardrails.flatMap(partsOf).map(({ selector }) => selector);
const oneOf = (values: readonly string[]) => [...new Set(values)].map((value) => value.replaceAll(".", String.raw`\\.`)).join("|");

/** All that the judge needs, and when each process was scraped. */
export const LOOK_QUERIES = [
  `{__name__=~"${oneOf(parts.map(({ metric }) => metric))}",le=~"|${oneOf(parts.flatMap(({ labels }) => labels?.["le"] ?? []))}",${OF_BOTH}}`,
  `timestamp(up{${OF_BOTH}})`,
] as const;

const VECTOR = z.object({
  data: z.object({ resultType: z.literal("vector"), result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) })) }),
});
export type Vector = z.infer<typeof VECTOR>["data"]["result"];

/** Of an answer to `ask`; nothing where it is none. */
export function vectorIn({ status, body }: Pick<Asked, "status" | "body">): Vector {
  return status === 200 ? (VECTOR.safeParse(jsonIn(body)).data?.data.result ?? []) : [];
}

const ANSWERED = z.object({ data: z.object({ result: z.array(z.unknown()) }) });

/** How many series an answer has, of whatever kind it is. */
export function seriesIn({ status, body }: Pick<Asked, "status" | "body">): number {
  return status === 200 ? (ANSWERED.safeParse(jsonIn(body)).data?.data.result.length ?? 0) : 0;
}

/** Samples in the answers to LOOK_QUERIES. A process that was not scraped at a known time shows nothing. */
export function samplesIn(asked: readonly Asked[]): Sample[] {
  const [values = [], scrapes = []] = LOOK_QUERIES.map((query) => asked.filter((one) => one.query === query).flatMap(vectorIn));
  const process = ({ job, instance }: Record<string, string>) => `${job}\0${instance}`;
  const scrapedAtS = new Map(scrapes.map(({ metric, value: [, atS] }) => [process(metric), Number(atS)]));
  return values.map(({ metric: { __name__: metric = "", ...labels }, value: [, value] }) => ({ metric, labels, value: Number(value), atS: scrapedAtS.get(process(labels)) ?? NaN }));
}

const TARGETS = z.object({
  data: z.object({ activeTargets: z.array(z.object({ labels: z.record(z.string(), z.string()), health: z.string(), scrapeInterval: z.string() })) }),
});

export interface Target {
  readonly job: string;
  readonly instance: string;
  readonly track: string;
  readonly isUp: boolean;
  readonly scrapeS: number;
}

/** Of an answer to `targets`; none where it is no answer. */
export function targetsIn({ status, body }: Asked): Target[] {
  if (status !== 200) return [];
  return (TARGETS.safeParse(jsonIn(body)).data?.data.activeTargets ?? []).map(({ labels: { job = "", instance = "", track = "" }, health, scrapeInterval }) => ({
    job, instance, track, isUp: health === "up", scrapeS: secondsIn(scrapeInterval),
  }));
}

const UNITS_S: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3_600 };

/** `1m30s` is 90. */
function secondsIn(duration: string): number {
  return [...duration.matchAll(/(\d+)(ms|s|m|h)/g)].reduce((sum, [, count, unit = ""]) => sum + Number(count) * (UNITS_S[unit] ?? NaN), 0);
}
