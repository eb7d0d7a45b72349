import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { PRODUCTION, QUICK } from "./cadence.js";
import { dashboards } from "./dashboards.js";
import { canRun, run } from "./debian-tools.fixture.js";
import { differences, write } from "./deploy-folder.js";
import { guardrails, statistical } from "./evidence.js";
import { generated } from "./generate.js";
import { alertName, alerts, RECORDS, type RuleGroup } from "./rules.js";

const files = generated();
const dir = mkdtempSync(join(tmpdir(), "memseal-deploy-"));
const inDir = (path: string, text?: string) => {
  if (text !== undefined) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  return join(dir, path);
};
const parsed = (path: string): unknown => parse(files.get(path) ?? "");
const rules = (parsed("prometheus/rules/guardrails.yml") as { groups: RuleGroup[] }).groups.flatMap((group) => group.rules);
const tests = [...files.keys()].filter((path) => path.startsWith("prometheus/tests/"));

beforeAll(() => {
  write(dir, files);
});
afterAll(() => {
  rmSync(dir, { recursive: true });
});

describe("what is generated", () => {
  it("says so at the top of each file", () => {
    for (const text of files.values()) expect(text).toMatch(/^(# |\{\n.*\n.*\n {2}"description": ")Generated from libs\/guardrails/);
  });

  it("has for each guardrail an alert at its breach, one at its absence, a chart, an analysis, and tests of its own", () => {
    const names = rules.flatMap((rule) => ("alert" in rule ? [rule.alert] : []));
    const charts = dashboards().flatMap(({ panels }) => panels).map(({ title }) => title);
    const analyses = parseAllDocuments(files.get("argo/analysis-template.yaml") ?? "").map((document) => document.toJS() as { spec: { metrics: { name: string }[] } });
    for (const guardrail of guardrails) {
      expect(names).toContain(alertName(guardrail));
      expect(names).toContain(`${alertName(guardrail)}Absent`);
      expect(charts).toContainEqual(expect.stringContaining(`${guardrail.id}: `));
      expect(analyses[0].spec.metrics.map(({ name }) => name)).toContain(guardrail.id.replaceAll("_", "-"));
      expect(tests).toContain(`prometheus/tests/${guardrail.id}.yml`);
    }
    for (const guardrail of statistical) expect(analyses[1].spec.metrics.map(({ name }) => name)).toContain(guardrail.id.replaceAll("_", "-"));
  });

  it("tests each alert, that it fires and that it does not", () => {
    const known = alerts(PRODUCTION);
    const cases = tests.flatMap((path) => (parsed(path) as { tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[] }).tests).flatMap((one) => one.alert_rule_test);
    expect(known.map(({ name }) => name)).toEqual(expect.arrayContaining(cases.map(({ alertname }) => alertname)));
    for (const { name, action } of known) {
      const fires = cases.filter(({ alertname }) => alertname === name).map(({ exp_alerts: expected }) => expected.length > 0);
      expect([name, fires.includes(true)]).toEqual([name, true]);
      // Two kinds are never silent: the heartbeat, and what misses evidence of a candidate that has had no request yet.
      if (action !== "heartbeat" && name !== "MemsealCanaryIdle") expect([name, fires.includes(false)]).toEqual([name, true]);
    }
  });

  it("looks at the candidate alone where it acts, and takes both tracks together nowhere", () => {
    for (const rule of rules) {
      if ("alert" in rule && rule.labels.memseal_action === "rollback") expect(rule.expr).toContain('track="canary"');
      if ("record" in rule && (rule.record === RECORDS.trials || rule.record === RECORDS.breaches)) expect(rule.expr).toMatch(/^sum by \(track\)/);
    }
  });

  it("waits for nothing but what is absent", () => {
    for (const rule of rules) if ("alert" in rule && !/Absent$|^Memseal(Canary|Track|Scrapes|Target)/.test(rule.alert)) expect(rule).not.toHaveProperty("for");
  });

  it("has for each alert a runbook in docs/operations.md", () => {
    const operations = readFileSync(new URL("../../../docs/operations.md", import.meta.url), "utf8");
    const anchors = [...operations.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading.toLowerCase().replaceAll(/[^\w\- ]/g, "").replaceAll(" ", "-"));
    for (const rule of rules) if ("alert" in rule) expect(anchors.map((anchor) => `docs/operations.md#${anchor}`)).toContain(rule.annotations.runbook_url);
  });

  it("gives the Prometheus operator the same rules", () => {
    expect(parsed("kubernetes/prometheus-rule.yaml")).toMatchObject({ spec: parsed("prometheus/rules/guardrails.yml") as object });
  });

  it("lays the panels of a dashboard beside each other, each with an id and a query", () => {
    for (const { panels } of dashboards()) {
      expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
      expect(new Set(panels.map(({ gridPos }) => JSON.stringify(gridPos))).size).toBe(panels.length);
      for (const { targets } of panels) expect(targets).not.toHaveLength(0);
    }
  });

  it("is seen to differ where a file was edited, is missing, or is generated by nobody", () => {
    expect(differences(dir, files)).toEqual([]);
    const edited = inDir("prometheus/rules/guardrails.yml");
    writeFileSync(edited, readFileSync(edited, "utf8").replace("12.283", "99"));
    rmSync(inDir("alertmanager/alertmanager.yml"));
    inDir("prometheus/rules/more.yml", "groups: []\n");
    expect(differences(dir, files)).toEqual([
      "deploy/prometheus/rules/guardrails.yml is not what is generated",
      "deploy/alertmanager/alertmanager.yml is missing",
      "deploy/prometheus/rules/more.yml is generated by nobody",
    ]);
    write(dir, files);
    expect(differences(dir, files)).toEqual([]);
  });
});

const withTools = canRun ? it : it.skip;

describe(`Prometheus and Alertmanager${canRun ? "" : " (skipped: apt-get install prometheus prometheus-alertmanager)"}`, () => {
  withTools("take the configuration", () => {
    // What an operator puts beside it.
    for (const file of ["tls/ca.crt", "tls/prometheus.crt", "tls/prometheus.key"]) inDir(`prometheus/${file}`, "");
    for (const service of ["gateway", "indexer", "reranker"]) inDir(`prometheus/targets/${service}.yml`, "- targets: [127.0.0.1:1]\n  labels: { track: stable }\n");
    const checked = run("promtool", "check", "config", inDir("prometheus/prometheus.yml"));
    expect(checked.output).toContain(`SUCCESS: ${rules.length} rules found`);
    expect(checked.output).not.toContain("WARNING");
    expect(checked.status).toBe(0);
    expect(run("amtool", "check-config", inDir("alertmanager/alertmanager.yml")).status).toBe(0);
  });

  withTools.each([["rollback", "release-runner,operators"], ["hold", "release-runner,operators"], ["heartbeat", "release-runner"], ["none of these", "operators"]])("tell of %s to %s", (action, receivers) => {
    const routed = run("amtool", "config", "routes", "test", `--config.file=${inDir("alertmanager/alertmanager.yml")}`, `memseal_action=${action}`, "alertname=MemsealErrors");
    expect(routed.output).toMatch(new RegExp(`^${receivers}$`, "m"));
  });

  withTools("take every query of a dashboard and of an analysis", () => {
    const analyses = parseAllDocuments(files.get("argo/analysis-template.yaml") ?? "").map((document) => document.toJS() as { spec: { metrics: { provider: { prometheus: { query: string } } }[] } });
    const queries = [
      ...dashboards().flatMap(({ panels }) => panels).flatMap(({ targets }) => targets).map(({ expr }) => expr.replaceAll("$__rate_interval", "1m")),
      ...analyses.flatMap(({ spec }) => spec.metrics).map(({ provider }) => provider.prometheus.query),
    ];
    const groups = [{ name: "queries", rules: queries.map((expr, i) => ({ record: `query_${i}`, expr })) }];
    expect(run("promtool", "check", "rules", inDir("queries.yml", JSON.stringify({ groups })))).toMatchObject({ status: 0 });
  });

  describe("find that rules fire and are silent as they should", () => {
    withTools.each(tests)("%s", (path) => {
      expect(run("promtool", "test", "rules", inDir(path))).toMatchObject({ status: 0, output: expect.stringContaining("SUCCESS") as string });
    }, 120_000);

    withTools("and say so where one does not", () => {
      const doubled = (files.get("prometheus/rules/guardrails.yml") ?? "").replace('over_limit:log_evidence5m{guardrail="errors",track="canary"} >= 12', 'over_limit:log_evidence5m{guardrail="errors",track="canary"} >= 24');
      inDir("doubled/rules/guardrails.yml", doubled);
      const test = inDir("doubled/tests/errors.yml", files.get("prometheus/tests/errors.yml"));
      expect(run("promtool", "test", "rules", test)).toMatchObject({ status: 1, output: expect.stringContaining("are evidence enough") as string });
    }, 60_000);
  });

  withTools("take what looks each second, too", () => {
    const quick = alerts(QUICK).map(({ name, expr, forS }) => ({ alert: name, expr, for: `${forS}s` }));
    expect(run("promtool", "check", "rules", inDir("quick.yml", JSON.stringify({ groups: [{ name: "quick", rules: quick }] })))).toMatchObject({ status: 0 });
  });
});
