import { GUARDRAILS, seriesOf, type Guardrail, type QuantileGuardrail } from "@memseal/guardrails";
import { METRICS, Metrics } from "./metrics.js";

const guardrails: readonly Guardrail[] = GUARDRAILS;
const quantiles = guardrails.filter((one): one is QuantileGuardrail => one.kind === "quantile");
/** Of a series, the metric it belongs to. */
const metricOf = (series: string) => series.replace(/_(bucket|count)$/, "") as keyof typeof METRICS;

/** The edges of a histogram as a scrape shows them. */
async function edgesOf(name: keyof typeof METRICS): Promise<string[]> {
  const metrics = new Metrics("canary");
  const { type, labels } = METRICS[name];
  const given = Object.fromEntries(Object.entries(labels).filter(([, values]) => values === null).map(([label]) => [label, ["x"]]));
  if (type === "latency") metrics.latency(name as "memseal_call_duration_seconds", given as { method: string[] });
  else metrics.ratio(name as "memseal_database_pool_use_ratio", given);
  return [...(await metrics.render()).matchAll(new RegExp(`^${name}_bucket\\{.*le="([^"]+)"`, "gm"))].map(([, edge = ""]) => edge);
}

describe("the table of guardrails", () => {
  it.each(guardrails.map((guardrail) => [guardrail.id, guardrail] as const))("%s watches metrics that are there, by labels they have", (_id, guardrail) => {
    for (const { metric, labels = {} } of seriesOf(guardrail)) {
      expect(METRICS).toHaveProperty(metricOf(metric));
      const known: Readonly<Record<string, readonly string[] | null>> = METRICS[metricOf(metric)].labels;
      for (const [label, values] of Object.entries(labels).filter(([name]) => name !== "le")) {
        expect(known).toHaveProperty(label);
        for (const value of values) expect(known[label] ?? [value]).toContain(value);
      }
    }
  });

  it.each(quantiles.map((guardrail) => [guardrail.id, guardrail] as const))("%s has an edge of its histogram exactly at the limit, written the same way", async (_id, { histogram, limit, unit }) => {
    const { type } = METRICS[histogram.metric as keyof typeof METRICS];
    expect(type).toBe(unit === "seconds" ? "latency" : "ratio");
    expect(await edgesOf(histogram.metric as keyof typeof METRICS)).toContain(String(limit));
  });

  it("counts what may not happen by counters, which forget nothing between two scrapes", () => {
    const counted = guardrails.filter(({ kind }) => kind !== "quantile").flatMap(seriesOf);
    for (const { metric } of counted) expect(METRICS[metricOf(metric)].type).toBe("counter");
  });
});
