import { GUARDRAILS, partsOf, type Sample } from "@memseal/guardrails";
import fc from "fast-check";
import { shownBy } from "../services.js";
import { exampleOf, type Process } from "../world.js";
import { planOf, type ReleasePlan } from "./release-plan.js";
import { Release, type Action, type AlertNotice, type Look } from "./release.js";

const PLAN: ReleasePlan = planOf({ scrapeS: 15, evaluationS: 15 }, 60);
/** Of an hour at that scale. */
const FIRST_WINDOW_S = 60;
const NEXT_WINDOW_S = 15;

/** Every series of both tracks, each counter at `value`: trials without a breach, where it is no event or fault. */
function samples(atS: number, value: number): Sample[] {
  const isGood = (labels: Readonly<Record<string, string>>) => labels["code"] === undefined || labels["code"] === "ok";
  return GUARDRAILS.flatMap((guardrail) => partsOf(guardrail).flatMap((part) => (["canary", "stable"] as const).flatMap((track) =>
    shownBy(part.selector.metric).map((service): Sample => {
      const { metric, labels } = exampleOf(part.selector, { service, track } satisfies Process);
      const counts = guardrail.kind !== "never" && isGood(labels) && (part.trials === 1 || metric.endsWith("_bucket")) && !metric.includes("skipped");
      return { metric, labels, value: counts ? value : 0, atS };
    }))));
}

const look = (atS: number, { value = 20_000, ...more }: Partial<Look> & { value?: number } = {}): Look => ({ atS, observation: { samples: samples(atS, value) }, alerts: [], ...more });
const alert = (name: string, action: AlertNotice["action"]): AlertNotice => ({ name, action });
const HEARTBEAT = alert("MemsealWatchdog", "heartbeat");

/** Looks each second, from the first on, until there is something to do. */
function until(release: Release, fromS: number, of: (atS: number) => Look): { atS: number; action: Action } {
  for (let atS = fromS; atS < fromS + 1_000; atS++) {
    const action = release.look(of(atS));
    if (action.do !== "wait") return { atS, action };
  }
  throw new Error("nothing happens");
}

describe("a release", () => {
  it("of a good candidate goes from step to step, each watched as long as planned, and is promoted", () => {
    const release = new Release(PLAN, 0);
    const taken: [number, number][] = [];
    let atS = 0;
    for (const percent of [25, 50, 100]) {
      const next = until(release, atS + 1, look);
      expect(next.action).toEqual({ do: "step", percent });
      taken.push([release.percent, next.atS - atS]);
      atS = next.atS;
      release.stepped(atS);
    }
    const end = until(release, atS + 1, look);
    expect(taken).toEqual([[5, FIRST_WINDOW_S], [25, NEXT_WINDOW_S], [50, NEXT_WINDOW_S]]);
    expect(end).toEqual({ atS: atS + NEXT_WINDOW_S, action: { do: "end", outcome: "promoted", reasons: [] } });
  });

  it("with 100 queries at 5% is inconclusive, and says how many are missing", () => {
    const end = until(new Release(PLAN, 0), 1, (atS) => look(atS, { value: 5 }));
    expect(end.atS).toBe(FIRST_WINDOW_S + PLAN.patience_s / PLAN.time_scale);
    expect(end.action).toMatchObject({ do: "end", outcome: "inconclusive", reasons: [{ trigger: "evidence" }] });
    const [reason] = end.action.do === "end" ? end.action.reasons : [];
    const missing = reason.trigger === "evidence" ? reason.missing : [];
    expect(missing.find(({ guardrail }) => guardrail === "stream_success")?.requests).toBeGreaterThan(400);
    expect(missing.find(({ guardrail }) => guardrail === "errors")?.requests).toBeGreaterThan(150);
  });

  it("never ends a step by the clock alone: evidence that comes late in the patience is enough, and none before", () => {
    const release = new Release(PLAN, 0);
    expect(until(release, 1, (atS) => look(atS, { value: atS < 80 ? 5 : 20_000 }))).toEqual({ atS: 80, action: { do: "step", percent: 25 } });
  });

  it("ends at once when Prometheus shows a breach, with its cause", () => {
    const release = new Release(PLAN, 0);
    release.look(look(1));
    const reached = samples(2, 20_000).map((one) => (one.metric === "memseal_cross_tenant_reached_total" && one.labels["track"] === "canary" ? { ...one, value: 1 } : one));
    expect(release.look(look(2, { observation: { samples: reached } }))).toMatchObject({
      do: "end", outcome: "rolled_back", reasons: [{ trigger: "judge", causes: [{ guardrail: "cross_tenant_reached", kind: "event" }] }],
    });
  });

  it("ends when Prometheus shows nothing any more", () => {
    const release = new Release(PLAN, 0);
    release.look(look(1));
    const end = until(release, 2, (atS) => look(atS, { observation: { samples: [] } }));
    expect(end.atS).toBe(1 + PLAN.stale_after_s + 1);
    expect(end.action).toMatchObject({ outcome: "rolled_back", reasons: [{ trigger: "judge", causes: GUARDRAILS.map(() => ({ kind: "silent" })) }] });
  });

  it("ends at an alert that asks for it, without asking Prometheus", () => {
    const release = new Release(PLAN, 0);
    expect(release.look({ atS: 1, alerts: [alert("MemsealErrors", "rollback")] })).toEqual({ do: "end", outcome: "rolled_back", reasons: [{ trigger: "alert", alert: "MemsealErrors" }] });
  });

  it("leaves rows that do not open to the judge, who is told what stable cannot open either", () => {
    const failing = (atS: number) => samples(atS, 20_000).map((one) => (one.metric === "memseal_integrity_failures_total" && one.labels["track"] === "canary" ? { ...one, value: 1 } : one));
    const of = (excused: number): Look => ({ atS: 1, alerts: [alert("MemsealIntegrityFailures", "rollback")], observation: { samples: failing(1), excused: { integrity_failures: excused } } });
    expect(new Release(PLAN, 0).look(of(1)).do).toBe("wait");
    expect(new Release(PLAN, 0).look(of(0))).toMatchObject({ reasons: [{ trigger: "judge" }] });
    expect(new Release(PLAN, 0).look({ atS: 1, alerts: [alert("MemsealIntegrityFailuresAbsent", "rollback")] }).do).toBe("end");
  });

  it("leaves latencies to the judge while the rules count requests of tenants that were cold", () => {
    const slow = [alert("MemsealQueryLatency", "rollback")];
    const release = new Release(PLAN, 0);
    expect(release.look(look(1, { isWarming: true, alerts: slow })).do).toBe("wait");
    expect(release.look(look(2, { alerts: slow })).do).toBe("wait");
    expect(release.look(look(3, { alerts: [alert("MemsealQueryLatencyAbsent", "rollback")] })).do).toBe("end");
    const later = new Release(planOf({ scrapeS: 15, evaluationS: 15 }, 1), 0);
    later.look(look(2));
    expect(later.look(look(303, { alerts: slow })).do).toBe("end");
    const early = new Release(planOf({ scrapeS: 15, evaluationS: 15 }, 1), 0);
    early.look(look(2));
    expect(early.look(look(301, { alerts: slow })).do).toBe("wait");
  });

  it.each([[{ trigger: "operator", signal: "SIGINT" }], [{ trigger: "runner", fault: "the disk is full" }]] as const)("ends when asked to: %j", (abort) => {
    expect(new Release(PLAN, 0).look({ atS: 1, alerts: [], abort })).toEqual({ do: "end", outcome: "rolled_back", reasons: [abort] });
  });

  it("goes no step further while an alert holds it", () => {
    const release = new Release(PLAN, 0);
    const held = until(release, 1, (atS) => look(atS, { alerts: atS <= 70 ? [alert("MemsealTargetWithoutTrack", "hold")] : [] }));
    expect(held.action).toMatchObject({ do: "end", outcome: "inconclusive", reasons: [{ trigger: "evidence", missing: [], held: ["MemsealTargetWithoutTrack"] }] });
  });

  it("goes no step further once Alertmanager has fallen silent", () => {
    const plan = { ...PLAN, heartbeat_within_s: 20 };
    const of = (last: number) => (atS: number) => look(atS, { alerts: atS <= last ? [HEARTBEAT] : [] });
    expect(until(new Release(plan, 0), 1, of(50)).action).toEqual({ do: "step", percent: 25 });
    expect(until(new Release(plan, 0), 1, of(30)).action).toMatchObject({ outcome: "inconclusive", reasons: [{ held: ["no heartbeat of Alertmanager"] }] });
  });

  it("that has ended stays so, whatever comes", () => {
    const action = fc.constantFrom<AlertNotice["action"]>("rollback", "hold", "heartbeat");
    fc.assert(fc.property(fc.array(fc.record({ value: fc.nat(30_000), alerts: fc.array(action, { maxLength: 2 }), hasAbort: fc.boolean() }), { minLength: 1, maxLength: 30 }), (looks) => {
      const release = new Release({ ...PLAN, stale_after_s: 5 }, 0);
      let ended: Action | undefined;
      for (const [i, { value, alerts, hasAbort }] of looks.entries()) {
        const next = release.look(look((i + 1) * 3, { value, alerts: alerts.map((one) => alert("MemsealErrors", one)), ...(hasAbort && { abort: { trigger: "operator", signal: "SIGINT" } }) }));
        if (ended !== undefined) expect(next).toBe(ended);
        if (next.do === "end") ended = next;
      }
    }), { numRuns: 30 });
  });
});
