import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "@memseal/transport/testing";
import { stringify } from "yaml";
import { alertmanagerConfig } from "../alertmanager.js";
import { QUICK } from "../cadence.js";
import { prometheusConfig } from "../prometheus.js";
import { ruleGroups } from "../rules.js";
import type { Service } from "../services.js";
import type { Track } from "../world.js";
import { ended } from "./ended.js";

/** What a process is a target as. */
export interface Target {
  readonly service: Service;
  readonly track: Track;
  /** Of its metrics: host:port. */
  readonly address: string;
}

export interface Webhook {
  /** host:port of who runs the release. */
  readonly address: string;
  readonly token: string;
}

/** Prometheus and Alertmanager of Debian with what is generated for them, at the quick cadence and without certificates. */
export class Monitoring {
  readonly #dir = mkdtempSync(join(tmpdir(), "memseal-monitoring-"));
  readonly #children = new Map<string, ChildProcess>();
  #url = "";

  /** Resolves when every target is scraped. */
  static async start(targets: readonly Target[], webhook: Webhook): Promise<Monitoring> {
    const monitoring = new Monitoring();
    const alertmanager = await monitoring.#startAlertmanager(webhook);
    monitoring.#url = await monitoring.#startPrometheus(alertmanager, targets);
    // It looks for targets every five seconds.
    while ((await monitoring.#targetsUp()) < targets.length) await delay(100);
    return monitoring;
  }

  /** Of Prometheus. */
  get url(): string {
    return this.#url;
  }

  /** As if its machine had gone. */
  async killPrometheus(): Promise<void> {
    const prometheus = this.#children.get("prometheus");
    if (prometheus !== undefined) await ended(prometheus, "SIGKILL");
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#children.values()].map((child) => ended(child, "SIGKILL")));
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #targetsUp(): Promise<number> {
    const response = await fetch(`${this.#url}/api/v1/query?query=${encodeURIComponent("count(up == 1)")}`);
    const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } };
    return Number(data.result.at(0)?.value[1] ?? 0);
  }

  #startAlertmanager({ address, token }: Webhook): Promise<string> {
    const url = "http://127.0.0.1:9095/alerts";
    const config = this.#write("alertmanager/alertmanager.yml", stringify(alertmanagerConfig(QUICK)).replace(url, `http://${address}/alerts`));
    this.#write("alertmanager/webhook.token", token);
    return this.#start("prometheus-alertmanager", `--config.file=${config}`, `--storage.path=${join(this.#dir, "alertmanager/data")}`, "--cluster.listen-address=");
  }

  #startPrometheus(alertmanager: string, targets: readonly Target[]): Promise<string> {
    const generated = prometheusConfig(QUICK);
    this.#write("prometheus/rules/guardrails.yml", stringify({ groups: ruleGroups(QUICK) }, { aliasDuplicateObjects: false }));
    for (const { service, track, address } of targets) this.#write(`prometheus/targets/${service}-${track}.yml`, stringify([{ targets: [address], labels: { track } }]));
    const config = this.#write("prometheus/prometheus.yml", stringify({
      ...generated,
      alerting: { alertmanagers: [{ static_configs: [{ targets: [new URL(alertmanager).host] }] }] },
      scrape_configs: generated.scrape_configs.map((one) => ({ ...one, scheme: "http", tls_config: {} })),
    }));
    // An alert that Alertmanager missed is sent again so soon.
    return this.#start("prometheus", `--config.file=${config}`, `--storage.tsdb.path=${join(this.#dir, "prometheus/data")}`, "--rules.alert.resend-delay=15s");
  }

  #write(name: string, text: string): string {
    const path = join(this.#dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  /** Its address, once it is ready. @throws Error with what it said when it ends first */
  async #start(binary: string, ...args: readonly string[]): Promise<string> {
    const url = `http://127.0.0.1:${await freePort()}`;
    const child = spawn(binary, [...args, `--web.listen-address=${new URL(url).host}`], { stdio: ["ignore", "ignore", "pipe"] });
    this.#children.set(binary, child);
    let output = "";
    child.stderr.on("data", (bytes: Buffer) => { output = (output + bytes.toString()).slice(-10_000); });
    let failure: Error | undefined;
    child.once("error", (error) => { failure = error; });
    while (!(await fetch(`${url}/-/ready`).then(({ ok }) => ok, () => false))) {
      if (failure !== undefined) throw failure;
      if (child.exitCode !== null) throw new Error(`${binary} ended:\n${output}`);
      await delay(50);
    }
    return url;
  }
}
