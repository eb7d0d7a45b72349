import { setTimeout as delay } from "node:timers/promises";
import { freePort, type ServiceProcess } from "@memseal/transport/testing";
import { parseAllDocuments } from "yaml";
import type { Gateway, Json } from "./gateway.js";
import { canMonitor, deployed, Monitoring, rulesOf } from "./monitoring.js";
import { Stack } from "./stack.js";

const DASHBOARDS = ["memseal-release", "memseal-services"];
const panelsOf = (dashboard: string) => (JSON.parse(deployed(`grafana/${dashboard}.json`)) as { panels: { title: string; targets: { expr: string }[] }[] }).panels;
const chartQueries = DASHBOARDS.flatMap(panelsOf).flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr.replaceAll("$__rate_interval", "30s")] as const));
const rules = rulesOf(deployed("prometheus/rules/guardrails.yml"));
const analysisQueries = parseAllDocuments(deployed("argo/analysis-template.yaml")).flatMap((document) =>
  (document.toJS() as { spec: { metrics: { provider: { prometheus: { query: string } } }[] } }).spec.metrics.map(({ provider }) => provider.prometheus.query));

/** Metrics that a query names: what stands in braces are labels. */
const metricsIn = (query: string) => query.replaceAll(/\{[^}]*\}/g, "").match(/\b(?:memseal|te|process)_\w+|\bmemseal:[\w:]+/g) ?? [];

const withMonitoring = canMonitor ? describe : describe.skip;

withMonitoring(`a candidate beside a stable release${canMonitor ? "" : " (skipped: apt-get install prometheus prometheus-alertmanager)"}`, () => {
  let stack: Stack;
  let stable: Gateway;
  let canary: Gateway;
  let canaryIndexer: ServiceProcess;
  let shown: string[];
  let monitoring: Monitoring;
  let key: string;

  beforeAll(async () => {
    stack = await Stack.start();
    stable = await stack.startGateway();
    const [address, metrics] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    canaryIndexer = await stack.startIndexer(address, { MEMSEAL_TRACK: "canary", MEMSEAL_METRICS_ADDRESS: metrics });
    canary = await stack.startGateway({ MEMSEAL_TRACK: "canary", MEMSEAL_INDEXER_ADDRESS: address });
    key = await stack.createKey("ada-7731");
    shown = await stack.metrics(stable);
    monitoring = await Monitoring.start([
      { service: "gateway", track: "stable", address: stable.http },
      { service: "gateway", track: "canary", address: canary.http },
      { service: "indexer", track: "stable", address: stack.addresses.indexerMetrics },
      { service: "indexer", track: "canary", address: metrics },
      { service: "reranker", track: "stable", address: stack.addresses.rerankerMetrics },
    ]);
    for (let i = 0; i < 5; i++) await Promise.all([stable, canary].map((gateway) => useAll(gateway)));
    // For each series a scrape before and one after, and for each alert that something is missing time to begin.
    await delay(6_000);
  });

  afterAll(async () => {
    await monitoring.stop();
    await stack.stop();
  });

  /** One request of each kind that a guardrail watches. */
  async function useAll(gateway: Gateway): Promise<void> {
    const ask = async (method: "add" | "search" | "searchStream" | "update", json: Json) => gateway.ask("http", { method, key, json });
    const added = await ask("add", { memories: [{ text: "She is allergic to walnuts." }, { text: "The bike is in the garage." }] });
    const [{ id }] = (added.body["results"] ?? added.body["memories"] ?? [{}]) as { id?: string }[];
    if (id !== undefined) await ask("update", { id, text: "She is allergic to walnuts and to pecans." });
    await ask("search", { query: "Which food must she avoid?" });
    await ask("searchStream", { query: "Where is the bike?" });
  }

  it("shows each metric that a rule, an analysis or a dashboard names", () => {
    const known = new Set([...shown.join("\n").matchAll(/^(\w+)[{ ]/gm)].map(([, name]) => name));
    for (const { record } of rules) if (record !== undefined) known.add(record);
    const named = [...rules.map(({ expr }) => expr), ...analysisQueries, ...chartQueries.map(([, expr]) => expr)].flatMap(metricsIn);
    expect(named.length).toBeGreaterThan(100);
    expect([...new Set(named)].filter((name) => !known.has(name))).toEqual([]);
  });

  it("has data for every chart and every analysis", async () => {
    const without = [];
    for (const [title, expr] of [...chartQueries, ...analysisQueries.map((expr) => ["analysis", expr] as const)]) if ((await monitoring.query(expr)).length === 0) without.push(`${title}: ${expr}`);
    expect(without).toEqual([]);
  });

  it("fires the heartbeat alone while it is well: every process shows what is expected of it", async () => {
    while (monitoring.notified.length === 0) await delay(100);
    // How long something takes is also up to the machine.
    const others = (alerts: readonly string[]) => [...new Set(alerts)].filter((alert) => !/(Latency|TimeToFirstValue)$/.test(alert));
    expect(others(await monitoring.firing())).toEqual(["MemsealWatchdog"]);
    expect(others(monitoring.notified.map(({ labels }) => labels["alertname"] ?? ""))).toEqual(["MemsealWatchdog"]);
  });

  it("is reported to the webhook within a minute when its indexer dies, by what fails and by what falls silent", async () => {
    const isRollback = (alert: string) => monitoring.notified.some(({ labels, authorization }) =>
      labels["alertname"] === alert && labels["memseal_action"] === "rollback" && authorization === `Bearer ${monitoring.token}`);
    const awaited = ["MemsealErrors", "MemsealCanaryDown", "MemsealIntegrityFailuresAbsent"];
    await canaryIndexer.kill("SIGKILL");
    const diedAtMs = Date.now();
    while (!awaited.every(isRollback) && Date.now() < diedAtMs + 60_000) {
      await canary.ask("http", { method: "search", key, json: { query: "Which food must she avoid?" } });
      await delay(200);
    }
    expect(awaited.filter((alert) => !isRollback(alert))).toEqual([]);
  });
});
