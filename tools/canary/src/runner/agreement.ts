import type { Split } from "../adapters/load-balancer.js";
import { samplesIn, type Asked } from "../adapters/prometheus.js";
import type { BundleHeader } from "../bundle/manifest.js";
import type { LoadRow } from "../load/load-row.js";

type PerTrack = Readonly<Record<"canary" | "stable", number>>;

/** Requests of the release, as three have counted them that know nothing of each other. */
export interface Agreement {
  /** What the runner's own load was answered. */
  readonly client: PerTrack;
  readonly load_balancer: PerTrack;
  readonly prometheus: PerTrack;
}

/** The most that counters may differ, of the larger. */
const MOST = 0.01;

/** answers: to LOOK_QUERIES, from before the first share to the end. */
export function agreementOf({ before, after, answers, rows }: {
  before: Pick<Split, "answers">;
  after: Pick<Split, "answers">;
  answers: readonly (readonly Asked[])[];
  rows: readonly Pick<LoadRow, "track">[];
}): Agreement {
  const clientOf = (track: "canary" | "stable") => rows.filter((row) => row.track === track).length;
  const balancerOf = (track: "canary" | "stable") => after.answers[track] - before.answers[track];
  const both = (of: (track: "canary" | "stable") => number): PerTrack => ({ canary: of("canary"), stable: of("stable") });
  return { client: both(clientOf), load_balancer: both(balancerOf), prometheus: requestsIn(answers) };
}

/** What the counters of the gateways counted since the first answer. One below where it was began again. */
function requestsIn(answers: readonly (readonly Asked[])[]): PerTrack {
  const counts = { canary: 0, stable: 0 };
  const last = new Map<string, number>();
  for (const [i, asked] of answers.entries()) {
    for (const { metric, labels, value } of samplesIn(asked)) {
      const { track } = labels;
      if (metric !== "memseal_requests_total" || (track !== "canary" && track !== "stable")) continue;
      const key = JSON.stringify(Object.entries(labels).sort());
      const before = last.get(key) ?? (i === 0 ? value : 0);
      counts[track] += value < before ? value : value - before;
      last.set(key, value);
    }
  }
  return counts;
}

/** A line for each track on which they do not agree. In `live`, others ask as well, so the client's own are only a part. */
export function disagreements({ client, load_balancer: balancer, prometheus }: Agreement, mode: BundleHeader["mode"]): string[] {
  return (["canary", "stable"] as const).flatMap((track) => {
    const counted = `${track}: load balancer ${balancer[track]}, Prometheus ${prometheus[track]}, client ${client[track]}`;
    const differ = (a: number, b: number) => Math.abs(a - b) > MOST * Math.max(a, b);
    const isOff = differ(balancer[track], prometheus[track]) || (mode === "live" ? client[track] > balancer[track] : differ(client[track], balancer[track]));
    return isOff ? [counted] : [];
  });
}
