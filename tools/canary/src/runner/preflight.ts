import { setTimeout as delay } from "node:timers/promises";
import type { LoadBalancer } from "../adapters/load-balancer.js";
import { targetsIn, vectorIn, type Asked, type PrometheusClient, type Target } from "../adapters/prometheus.js";
import { TRACKS } from "../world.js";
import type { AlertWebhook } from "./alert-webhook.js";

/** One thing that must be so before a release begins. */
export interface Check {
  readonly check: string;
  readonly passed: boolean;
  readonly found: string;
}

export interface Preflight {
  readonly checks: readonly Check[];
  /** What Prometheus answered to each question. */
  readonly prometheus: readonly Asked[];
  /** The longest time between two scrapes of a target, in seconds. */
  readonly scrapeS: number;
}

export interface PreflightParts {
  readonly loadBalancer: LoadBalancer;
  readonly prometheus: PrometheusClient;
  readonly webhook: AlertWebhook;
  /** How long the alert that always fires is waited for. */
  readonly heartbeatWithinS: number;
}

/** What both tracks must be seen to have. */
const EMITTED = "memseal_requests_total";

/** Finds out whether a release can be watched and taken back, and takes it back once for trial. */
export async function preflight({ loadBalancer, prometheus, webhook, heartbeatWithinS }: PreflightParts): Promise<Preflight> {
  const asked = {
    targets: await prometheus.targets(),
    emitting: await prometheus.ask(`count by (track) (${EMITTED}{track=~"canary|stable"})`),
    firing: await prometheus.ask('count by (alertname) (ALERTS{alertstate="firing",memseal_action="rollback"})'),
  };
  const targets = targetsIn(asked.targets).filter(({ job }) => job.startsWith("memseal-"));
  const before = [
    ...TRACKS.map((track) => targetsUp(track, targets)),
    ...TRACKS.map((track) => emitting(track, asked.emitting)),
    nothingFires(asked.firing),
    await gets0(loadBalancer),
    await heard(webhook, heartbeatWithinS),
  ];
  // What nobody could watch gets no traffic, not even for trial.
  const checks = before.every(({ passed }) => passed) ? [...before, await rehearsed(loadBalancer)] : before;
  return { checks, prometheus: Object.values(asked), scrapeS: Math.max(...targets.map(({ scrapeS }) => scrapeS)) };
}

function targetsUp(track: string, targets: readonly Target[]): Check {
  const own = targets.filter((target) => target.track === track);
  const down = own.filter(({ isUp }) => !isUp).map(({ job }) => job);
  return { check: `every target of ${track} is up`, passed: own.length > 0 && down.length === 0, found: down.length > 0 ? `down: ${down.join(", ")}` : `${own.length} targets` };
}

function emitting(track: string, answer: Asked): Check {
  const [found] = vectorIn(answer).filter(({ metric }) => metric["track"] === track);
  return { check: `${track} shows ${EMITTED}`, passed: found !== undefined, found: `${found?.value[1] ?? 0} series` };
}

function nothingFires(answer: Asked): Check {
  const names = vectorIn(answer).map(({ metric }) => metric["alertname"] ?? "");
  return { check: "no alert fires that would end the release", passed: answer.status === 200 && names.length === 0, found: answer.status === 200 ? names.join(", ") : `Prometheus answered ${answer.status}` };
}

async function gets0(loadBalancer: LoadBalancer): Promise<Check> {
  const check = "the candidate gets no traffic yet";
  try {
    const { candidatePercent } = await loadBalancer.read();
    return { check, passed: candidatePercent === 0, found: `${candidatePercent}%` };
  } catch (error) {
    return { check, passed: false, found: (error as Error).message };
  }
}

/** The one thing that must not fail later is tried first. */
async function rehearsed(loadBalancer: LoadBalancer): Promise<Check> {
  const check = "the candidate can be given traffic, and can be taken back";
  try {
    await loadBalancer.setCandidateShare(1);
    const startedAtMs = performance.now();
    await loadBalancer.setCandidateShare(0);
    return { check, passed: true, found: `taken back in ${(performance.now() - startedAtMs).toFixed(1)} ms` };
  } catch (error) {
    return { check, passed: false, found: (error as Error).message };
  }
}

async function heard(webhook: AlertWebhook, withinS: number): Promise<Check> {
  const startedAtMs = performance.now();
  const isHeard = () => webhook.heard.some(({ action }) => action === "heartbeat");
  while (!isHeard() && performance.now() - startedAtMs < withinS * 1_000) await delay(100);
  return { check: "Alertmanager's alerts are heard", passed: isHeard(), found: isHeard() ? "the alert that always fires has come" : `nothing came in ${withinS} s` };
}
