export const SERVICES = ["gateway", "indexer", "reranker"] as const;
export type Service = (typeof SERVICES)[number];

/** The name that Prometheus scrapes a service under. */
export function jobOf(service: Service): string {
  return `memseal-${service}`;
}

/** Who shows what the guardrails watch. A spec holds real processes to it (apps/gateway/e2e/monitoring.e2e-spec.ts). */
const SHOWN_BY: Readonly<Record<string, readonly Service[]>> = {
  memseal_requests_total: ["gateway"],
  memseal_request_duration_seconds: ["gateway"],
  memseal_time_to_first_value_seconds: ["gateway"],
  memseal_reranked_total: ["gateway"],
  memseal_rerank_skipped_total: ["gateway"],
  // Of the one method that a guardrail names; others are the reranker's.
  memseal_call_duration_seconds: ["indexer"],
  memseal_database_pool_use_ratio: ["indexer"],
  memseal_integrity_failures_total: ["indexer"],
  memseal_cross_tenant_reached_total: ["gateway", "indexer"],
  memseal_cross_tenant_refused_total: ["gateway", "indexer"],
};

/** series: of a histogram, also its `_bucket` or `_count`. @throws Error when nobody is known to show it */
export function shownBy(series: string): readonly Service[] {
  const services = SHOWN_BY[series] ?? SHOWN_BY[series.replace(/_(bucket|count)$/, "")];
  if (services === undefined) throw new Error(`nobody is known to show ${series}`);
  return services;
}
