import { Metrics } from "./metrics.js";

describe("Metrics", () => {
  it("shows every series at 0 before its first event, each with its track", async () => {
    const metrics = new Metrics("canary");
    metrics.counter({ name: "memseal_skips_total", help: "Skips.", labels: { reason: ["open", "timeout"] } });
    const text = await metrics.render();
    expect(text).toContain('memseal_skips_total{reason="open",track="canary"} 0');
    expect(text).toContain('memseal_skips_total{reason="timeout",track="canary"} 0');
  });

  it("has a latency edge at each limit a guardrail watches", async () => {
    const metrics = new Metrics("stable");
    metrics.latency({ name: "memseal_seconds", help: "Time." });
    const text = await metrics.render();
    for (const edge of [0.05, 0.2, 0.25, 0.4, 0.75, 1.5]) expect(text).toContain(`le="${edge}"`);
  });
});
