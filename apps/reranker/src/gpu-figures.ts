import { atLeast, below, type Figure } from "@memseal/evidence";
import type { Provider } from "@memseal/inference";

/** What a reranker was measured to do. */
export interface Measured {
  readonly model: string;
  readonly provider: Provider;
  /** Of pairs scored in one call, one call at a time: the p95 of each round. */
  readonly p95Ms: readonly number[];
  /** Pairs a second, by how many callers there were. */
  readonly throughput: ReadonlyMap<number, number>;
}

/** What a reranking on a GPU takes less than, in ms: a search gives it 250. */
const P95_BELOW_MS = 150;

/** The figures of an approval on a GPU: a CPU is not approved, however fast. call: what one has, for people. */
export function gpuFigures({ model, provider, p95Ms, throughput }: Measured, call: string): Figure[] {
  const sorted = [...p95Ms].sort((a, b) => a - b);
  return [
    { what: "rerankers that run on cuda", value: provider === "cuda" ? 1 : 0, unit: "", limit: atLeast(1), note: `${model} on ${provider}` },
    {
      what: `rerank ${call} p95`,
      value: sorted[sorted.length >> 1] ?? null,
      unit: "ms",
      limit: below(P95_BELOW_MS),
      details: p95Ms.map((ms, i) => `round ${i + 1}: ${ms.toPrecision(4)} ms`),
    },
    ...[...throughput].map(([callers, perSecond]): Figure => ({ what: `throughput, ${callers} callers`, value: perSecond, unit: "pairs/s" })),
  ];
}
