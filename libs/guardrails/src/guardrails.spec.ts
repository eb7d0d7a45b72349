import { allowedShare, GUARDRAILS, partsOf, type Guardrail } from "./guardrails.js";

const guardrails: readonly Guardrail[] = GUARDRAILS;
const limitOf = (guardrail: Guardrail) => (guardrail.kind === "rate" || guardrail.kind === "quantile" ? guardrail.limit : undefined);

describe("the table of guardrails", () => {
  it("is what operators are promised", () => {
    expect(guardrails.map((guardrail) => [guardrail.id, guardrail.kind, limitOf(guardrail)])).toEqual([
      ["errors", "rate", 0.01],
      ["query_latency", "quantile", 0.4],
      ["write_latency", "quantile", 0.75],
      ["indexer_search_latency", "quantile", 0.2],
      ["time_to_first_value", "quantile", 1.5],
      ["stream_success", "rate", 0.004],
      ["rerank_skips", "rate", 0.01],
      ["database_pool", "quantile", 0.8],
      ["cross_tenant_reached", "never", undefined],
      ["integrity_failures", "never", undefined],
      ["cross_tenant_refused", "compared", undefined],
    ]);
  });

  it("names each guardrail once", () => {
    expect(new Set(guardrails.map(({ id }) => id)).size).toBe(guardrails.length);
  });

  it("takes for a breach of a quantile what lies above the limit: all that was observed, less what lies within", () => {
    const [, query] = GUARDRAILS;
    expect(partsOf(query)).toEqual([
      { selector: { metric: "memseal_request_duration_seconds_count", labels: { method: ["search"] } }, trials: 1, breaches: 1 },
      { selector: { metric: "memseal_request_duration_seconds_bucket", labels: { method: ["search"], le: ["0.4"] } }, trials: 0, breaches: -1 },
    ]);
    expect(allowedShare(query)).toBeCloseTo(0.05, 12);
  });

  it("counts no fault that a caller can bring about alone, neither as breach nor as trial", () => {
    const codes = guardrails.flatMap(partsOf).flatMap(({ selector }) => selector.labels?.code ?? []);
    expect(codes).toContain("unavailable");
    for (const code of ["invalid_argument", "unauthenticated", "permission_denied", "not_found", "resource_exhausted", "cancelled"]) expect(codes).not.toContain(code);
  });
});
