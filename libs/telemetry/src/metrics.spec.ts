import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crossTenantCounters } from "./cross-tenant.js";
import { startMetricsServer } from "./metrics-server.js";
import { METRICS, Metrics } from "./metrics.js";

describe("Metrics", () => {
  it("shows every series at 0 before its first event, each with its track", async () => {
    const metrics = new Metrics("canary");
    metrics.counter("memseal_rerank_skipped_total", { reason: ["open", "timeout"] });
    crossTenantCounters(metrics);
    const text = await metrics.render();
    for (const reason of ["open", "timeout"]) expect(text).toContain(`memseal_rerank_skipped_total{reason="${reason}",track="canary"} 0`);
    expect(text).toContain('memseal_cross_tenant_reached_total{where="row_security",track="canary"} 0');
    for (const where of ["row_security", "assertion", "user_id"]) expect(text).toContain(`memseal_cross_tenant_refused_total{where="${where}",track="canary"} 0`);
    for (const line of text.split("\n").filter((one) => one !== "" && !one.startsWith("#"))) expect(line).toContain('track="canary"');
  });

  it("counts what was reached and what was refused apart", async () => {
    const metrics = new Metrics("stable");
    const { reached, refused } = crossTenantCounters(metrics);
    reached();
    refused("user_id");
    refused("user_id");
    const text = await metrics.render();
    expect(text).toContain('memseal_cross_tenant_reached_total{where="row_security",track="stable"} 1');
    expect(text).toContain('memseal_cross_tenant_refused_total{where="user_id",track="stable"} 2');
  });

  it("are named with their unit, and stand in docs/operations.md with their labels", () => {
    const operations = readFileSync(new URL("../../../docs/operations.md", import.meta.url), "utf8");
    for (const [name, { type, labels }] of Object.entries(METRICS)) {
      // Those of text-embeddings-inference are as it has them.
      if (!name.startsWith("te_")) expect(name).toMatch({ counter: /^memseal_[a-z_]+_total$/, gauge: /^memseal_[a-z_]+_(bytes|info|state)$/, latency: /^memseal_[a-z_]+_seconds$/, ratio: /^memseal_[a-z_]+_ratio$/, sizes: /^te_/ }[type]);
      const cells = Object.keys(labels).map((label) => `\`${label}\``).join(", ") || "-";
      expect(operations).toContain(`| \`${name}\` | ${cells} |`);
    }
  });
});

describe("a metrics server", () => {
  it.each(["tcp", "unix"])("serves /metrics over %s and nothing else, until it is closed", async (kind) => {
    const dir = mkdtempSync(join(tmpdir(), "memseal-metrics-"));
    try {
      const path = join(dir, "metrics.sock");
      const port = 20_000 + Math.floor(Math.random() * 20_000);
      const server = await startMetricsServer(kind === "unix" ? `unix:${path}` : `127.0.0.1:${port}`, new Metrics("stable"));
      const ask = (method: string, url: string) => new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
        const asked = request({ method, path: url, ...(kind === "unix" ? { socketPath: path } : { host: "127.0.0.1", port }) }, (response) => {
          let body = "";
          response.on("data", (bytes: Buffer) => { body += bytes.toString(); }).on("end", () => { resolve({ status: response.statusCode, body }); });
        });
        asked.on("error", reject).end();
      });
      expect(await ask("GET", "/metrics")).toMatchObject({ status: 200, body: expect.stringContaining("process_cpu_seconds_total") as string });
      expect(await ask("GET", "/")).toEqual({ status: 404, body: "" });
      expect(await ask("POST", "/metrics")).toEqual({ status: 404, body: "" });
      await server.close();
      await expect(ask("GET", "/metrics")).rejects.toThrow();
      expect(existsSync(path)).toBe(false);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
