import { HaproxyLoadBalancer } from "../adapters/haproxy.js";
import { PrometheusClient } from "../adapters/prometheus.js";
import { BundleRecorder, headerText } from "../bundle/recorder.js";
import type { Outcome } from "../bundle/manifest.js";
import { Load } from "../load/load.js";
import { AlertWebhook } from "../runner/alert-webhook.js";
import { ARTIFACTS } from "../runner/artifacts.js";
import { findCredentials, type Credentials } from "../runner/credentials.js";
import { reasonLines } from "../runner/decision.js";
import { preflight } from "../runner/preflight.js";
import { planOf } from "../runner/release-plan.js";
import { writeRunFile, type RunFile } from "../runner/run-file.js";
import { ReleaseRun } from "../runner/run-release.js";
import { Wake } from "../runner/wake.js";
import type { Command } from "./command.js";
import { parseRunOptions, type RunOptions } from "./run-options.js";

/** 1 is for what went wrong before anything was given to the candidate. */
const EXIT_CODES: Readonly<Record<Outcome, number>> = { promoted: 0, rolled_back: 3, inconclusive: 4 };
const REFUSED = 1;

const say = (line: string) => { console.log(`${new Date().toISOString()} ${line}`); };

export const run: Command = {
  usage: ["run --release vX.Y.Z [--evidence DIR] [--mode live|local-demo] [--time-scale N] [--load REQUESTS_PER_S]"],
  run: async (args) => {
    const options = parseRunOptions(args);
    const found = findCredentials(process.env);
    if ("missing" in found) {
      for (const line of found.missing) console.error(`missing: ${line}`);
      return REFUSED;
    }
    return release(options, found.credentials);
  },
};

async function release(options: RunOptions, credentials: Credentials): Promise<number> {
  const header = { release: options.release, mode: options.mode, time_scale: options.time_scale };
  const wake = new Wake();
  const loadBalancer = new HaproxyLoadBalancer(credentials.proxySocket);
  const prometheus = new PrometheusClient(credentials.prometheusUrl);
  const load = new Load({ url: credentials.url, trackSecret: credentials.trackSecret, keys: credentials.apiKeys }, { requestsPerS: options.load });
  const webhook = await AlertWebhook.listen(credentials.webhookAddress, credentials.webhookToken, () => { wake.now(); });
  try {
    const recorder = BundleRecorder.create(options.evidence, header);
    let file: RunFile = { ...header, pid: process.pid, at: new Date().toISOString(), state: "preflight", step_percent: 0, step_started_at: "", verdict: "", held: [], outcome: null };
    const tell = (change: Partial<RunFile>) => {
      file = { ...file, ...change, at: new Date().toISOString() };
      writeRunFile(options.evidence, file);
    };
    tell({});
    say(`release ${headerText(header)}`);
    const { checks, prometheus: asked, scrapeS } = await preflight({ loadBalancer, prometheus, webhook, heartbeatWithinS: 90 });
    for (const { check, passed, found } of checks) say(`${passed ? "ok" : "FAILED"}: ${check}${found === "" ? "" : ` (${found})`}`);
    recorder.recordJson(ARTIFACTS.preflight, { checks, prometheus: asked });
    if (!checks.every(({ passed }) => passed)) {
      tell({ state: "refused" });
      say("nothing was given to the candidate; see docs/operations.md, Releases");
      return REFUSED;
    }
    const plan = planOf({ scrapeS, evaluationS: scrapeS }, options.time_scale);
    recorder.recordJson(ARTIFACTS.plan, { plan, load_requests_per_s: options.load });
    const running = new ReleaseRun({ plan, recorder, loadBalancer, prometheus, webhook, load, wake, say, onLook: (state) => { tell({ state: "watching", ...state }); } });
    const stop = (signal: NodeJS.Signals) => {
      say(`${signal}: the candidate is taken back; wait for the evidence to be written`);
      running.abort({ trigger: "operator", signal });
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
    const decision = await running.run();
    recorder.close(decision.outcome, credentials.signingKey);
    for (const line of decision.reasons.flatMap(reasonLines)) say(line);
    tell({ state: "ended", outcome: decision.outcome, step_percent: decision.outcome === "promoted" ? 100 : 0 });
    say(`evidence: ${options.evidence}`);
    return EXIT_CODES[decision.outcome];
  } finally {
    webhook.close();
  }
}
