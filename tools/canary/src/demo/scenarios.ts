import type { BundleFacts } from "../bundle/manifest.js";
import type { Fault } from "./installation.js";
import type { Rehearsal } from "./rehearsal.js";

/** A candidate, what goes wrong with it once it serves, and how its release must end. */
export interface Scenario {
  readonly name: string;
  readonly fault?: Fault;
  /** What goes wrong, once the candidate serves; nothing: absent. */
  readonly breaks?: (rehearsal: Rehearsal) => void | Promise<void>;
  readonly ends: readonly BundleFacts["outcome"][];
  /** What the cause must name. */
  readonly because?: RegExp;
}

const begins = (rehearsal: Rehearsal): void => { rehearsal.beginFault(); };

export const SCENARIOS: readonly Scenario[] = [
  { name: "healthy", ends: ["promoted"] },
  { name: "errors", fault: { name: "errors", service: "gateway" }, breaks: begins, ends: ["rolled_back"], because: /errors(?!Absent)|stream_?success/i },
  { name: "slow", fault: { name: "slow", service: "gateway" }, breaks: begins, ends: ["rolled_back"], because: /query_?latency/i },
  { name: "cross-tenant", fault: { name: "cross-tenant", service: "indexer" }, breaks: begins, ends: ["rolled_back"], because: /cross_?tenant_?reached/i },
  { name: "decrypt", fault: { name: "decrypt", service: "indexer" }, breaks: begins, ends: ["rolled_back"], because: /integrity_?failures/i },
  { name: "silent-metrics", fault: { name: "silent-metrics", service: "gateway" }, breaks: begins, ends: ["rolled_back", "inconclusive"], because: /cannot be seen|CanaryDown|Absent|Stale/ },
  { name: "killed-prometheus", breaks: (rehearsal) => rehearsal.killPrometheus(), ends: ["rolled_back", "inconclusive"], because: /cannot be seen|was not seen|Watchdog/ },
];

/** Those that are named, in the order of the names; all without any. @throws Error for a name that is none */
export function scenariosNamed(names: readonly string[]): readonly Scenario[] {
  if (names.length === 0) return SCENARIOS;
  return names.map((name) => {
    const scenario = SCENARIOS.find((one) => one.name === name);
    if (scenario === undefined) throw new Error(`${name} is none of ${SCENARIOS.map((one) => one.name).join(", ")}`);
    return scenario;
  });
}
