import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

/** Upper edges in seconds, with one at each limit a guardrail watches. */
const LATENCY_EDGES_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.4, 0.75, 1, 1.5, 2.5, 5, 10, 30];

export interface MetricSpec<Label extends string> {
  name: string;
  help: string;
  /** Each label with all its values, so that every series exists from the start, at 0. Never derived from a user. */
  labels?: Readonly<Record<Label, readonly string[]>>;
}

/** The metrics of one process. Every series carries `track`. */
export class Metrics {
  readonly registry = new Registry();

  constructor(track: string) {
    this.registry.setDefaultLabels({ track });
    collectDefaultMetrics({ register: this.registry });
  }

  counter<Label extends string>(spec: MetricSpec<Label>): Counter<Label> {
    const counter = new Counter({ ...this.#options(spec), registers: [this.registry] });
    for (const labels of combinations(spec.labels)) counter.inc(labels, 0);
    return counter;
  }

  gauge<Label extends string>(spec: MetricSpec<Label>): Gauge<Label> {
    return new Gauge({ ...this.#options(spec), registers: [this.registry] });
  }

  /** A latency histogram in seconds. */
  latency<Label extends string>(spec: MetricSpec<Label>): Histogram<Label> {
    const histogram = new Histogram({ ...this.#options(spec), buckets: LATENCY_EDGES_S, registers: [this.registry] });
    for (const labels of combinations(spec.labels)) histogram.zero(labels);
    return histogram;
  }

  /** Prometheus text format. */
  render(): Promise<string> {
    return this.registry.metrics();
  }

  #options<Label extends string>({ name, help, labels }: MetricSpec<Label>) {
    return { name, help, labelNames: Object.keys(labels ?? {}) as Label[] };
  }
}

function combinations<Label extends string>(labels: MetricSpec<Label>["labels"]): Record<Label, string>[] {
  let rows = [{} as Record<Label, string>];
  for (const [label, values] of Object.entries(labels ?? {}) as [Label, readonly string[]][]) {
    rows = rows.flatMap((row) => values.map((value) => ({ ...row, [label]: value })));
  }
  return rows;
}
