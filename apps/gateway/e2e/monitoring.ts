import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "@memseal/transport/testing";
import { parse, stringify } from "yaml";

/** A file of deploy/. */
export const deployed = (path: string): string => readFileSync(fileURLToPath(new URL(`../../../deploy/${path}`, import.meta.url)), "utf8");

export interface Rule {
  record?: string;
  alert?: string;
  expr: string;
  for?: string;
}

export const rulesOf = (text: string): Rule[] => (parse(text) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules);

/** What a process is a target as. */
export interface Target {
  service: "gateway" | "indexer" | "reranker";
  track: "canary" | "stable";
  address: string;
}

/** An alert as the webhook hears of it. */
export interface Notified {
  atMs: number;
  authorization: string | undefined;
  labels: Record<string, string>;
}

const BINARIES = { prometheus: "prometheus", alertmanager: "prometheus-alertmanager" };
const isThere = Object.values(BINARIES).every((binary) => spawnSync(binary, ["--version"]).status === 0);
/** Where they are not there, they are tried only if they are required, as in CI. */
export const canMonitor = isThere || process.env["MEMSEAL_REQUIRE_PROMETHEUS"] === "1";

/** Prometheus and Alertmanager of Debian with what deploy/ has for them; but they look each second, and without certificates. */
export class Monitoring {
  readonly notified: Notified[] = [];
  readonly token = randomBytes(16).toString("hex");
  readonly #dir = mkdtempSync(join(tmpdir(), "memseal-monitoring-"));
  readonly #children: ChildProcess[] = [];
  #webhook: Server | undefined;
  #url = "";

  static async start(targets: readonly Target[]): Promise<Monitoring> {
    const monitoring = new Monitoring();
    const webhook = await monitoring.#listen();
    const alertmanager = await monitoring.#startAlertmanager(webhook);
    monitoring.#url = await monitoring.#startPrometheus(alertmanager, targets);
    return monitoring;
  }

  /** @throws Error for a query that Prometheus refuses */
  async query(expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
    const response = await fetch(`${this.#url}/api/v1/query?${new URLSearchParams({ query: expr }).toString()}`);
    const answer = (await response.json()) as { error?: string; data?: { result: { metric: Record<string, string>; value: [number, string] }[] } };
    if (answer.data === undefined) throw new Error(`${expr}: ${answer.error}`);
    return answer.data.result;
  }

  /** Names of the alerts that fire. */
  async firing(): Promise<string[]> {
    return [...new Set((await this.query('ALERTS{alertstate="firing"}')).map(({ metric }) => metric["alertname"] ?? ""))].sort();
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.once("exit", resolve));
    }
    this.#webhook?.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #listen(): Promise<string> {
    const port = await freePort();
    this.#webhook = createServer((request, response) => {
      let body = "";
      request.on("data", (bytes: Buffer) => { body += bytes.toString(); }).on("end", () => {
        const { alerts } = JSON.parse(body) as { alerts: { labels: Record<string, string> }[] };
        this.notified.push(...alerts.map(({ labels }) => ({ atMs: Date.now(), authorization: request.headers.authorization, labels })));
        response.end();
      });
    });
    await new Promise<void>((resolve) => this.#webhook?.listen(port, "127.0.0.1", resolve));
    return `http://127.0.0.1:${port}/alerts`;
  }

  async #startAlertmanager(webhook: string): Promise<string> {
    const config = this.#write("alertmanager/alertmanager.yml", deployed("alertmanager/alertmanager.yml").replace("http://127.0.0.1:9095/alerts", webhook));
    this.#write("alertmanager/webhook.token", this.token);
    return this.#start(BINARIES.alertmanager, `--config.file=${config}`, `--storage.path=${join(this.#dir, "alertmanager/data")}`, "--cluster.listen-address=");
  }

  async #startPrometheus(alertmanager: string, targets: readonly Target[]): Promise<string> {
    const config = parse(deployed("prometheus/prometheus.yml")) as { scrape_configs: object[] };
    this.#write("prometheus/rules/guardrails.yml", quickRules(deployed("prometheus/rules/guardrails.yml")));
    for (const { service, track, address } of targets) this.#write(`prometheus/targets/${service}-${track}.yml`, stringify([{ targets: [address], labels: { track } }]));
    const path = this.#write("prometheus/prometheus.yml", stringify({
      ...config,
      global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
      alerting: { alertmanagers: [{ static_configs: [{ targets: [new URL(alertmanager).host] }] }] },
      scrape_configs: config.scrape_configs.map((one) => ({ ...one, scheme: "http", tls_config: {} })),
    }));
    return this.#start(BINARIES.prometheus, `--config.file=${path}`, `--storage.tsdb.path=${join(this.#dir, "prometheus/data")}`, "--rules.alert.resend-delay=1s");
  }

  #write(name: string, text: string): string {
    const path = join(this.#dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** Its address, once it is ready. */
  async #start(binary: string, ...args: readonly string[]): Promise<string> {
    const url = `http://127.0.0.1:${await freePort()}`;
    const child = spawn(binary, [...args, `--web.listen-address=${new URL(url).host}`], { stdio: ["ignore", "ignore", "pipe"] });
    let output = "";
    child.stderr.on("data", (bytes: Buffer) => { output += bytes.toString(); });
    this.#children.push(child);
    while (!(await fetch(`${url}/-/ready`).then(({ ok }) => ok, () => false))) {
      if (child.exitCode !== null) throw new Error(`${binary} ended:\n${output}`);
      await delay(100);
    }
    return url;
  }
}

/** What waits four scrapes waits four seconds. */
function quickRules(text: string): string {
  const { groups } = parse(text) as { groups: { rules: Rule[] }[] };
  return stringify({ groups: groups.map((group) => ({ ...group, interval: "1s", rules: group.rules.map((rule) => (rule.for === undefined ? rule : { ...rule, for: "4s" })) })) });
}
