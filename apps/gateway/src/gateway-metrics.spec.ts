import { GUARDRAILS, seriesOf } from "@memseal/guardrails";
import { Logger, Metrics } from "@memseal/telemetry";
import { GatewayMetrics } from "./gateway-metrics.js";

describe("what a guardrail watches at the gateway", () => {
  it("is there before the first request: every method and code it names, at 0", async () => {
    const metrics = new Metrics("canary");
    new GatewayMetrics(metrics, new Logger("test", () => undefined));
    const lines = (await metrics.render()).split("\n").filter((line) => line.endsWith(" 0"));
    const watched = GUARDRAILS.flatMap(seriesOf).filter(({ metric }) => lines.some((line) => line.startsWith(`${metric}{`)));
    expect(new Set(watched.map(({ metric }) => metric))).toEqual(new Set([
      "memseal_requests_total", "memseal_reranked_total", "memseal_rerank_skipped_total",
      "memseal_request_duration_seconds_bucket", "memseal_request_duration_seconds_count",
      "memseal_time_to_first_value_seconds_bucket", "memseal_time_to_first_value_seconds_count",
    ]));
    for (const { metric, labels = {} } of watched) {
      for (const [label, values] of Object.entries(labels)) {
        for (const value of values) expect(lines.filter((line) => line.startsWith(`${metric}{`) && line.includes(`${label}="${value}"`))).not.toEqual([]);
      }
    }
  });
});
