import type { Metrics } from "./metrics.js";

/** Counts what was tried across tenants. */
export interface CrossTenantCounters {
  /** A row of another tenant came back from the database: a wall has failed. */
  reached(): void;
  /** A wall held. A client can cause it, so it must not veto a release. */
  refused(where: "row_security" | "assertion" | "user_id"): void;
}

export function crossTenantCounters(metrics: Metrics): CrossTenantCounters {
  const reached = metrics.counter("memseal_cross_tenant_reached_total", {});
  const refused = metrics.counter("memseal_cross_tenant_refused_total", {});
  return {
    reached: () => { reached.inc({ where: "row_security" }); },
    refused: (where) => { refused.inc({ where }); },
  };
}
