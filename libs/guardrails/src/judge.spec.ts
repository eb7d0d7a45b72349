import { InvalidArgumentError } from "@memseal/errors";
import fc from "fast-check";
import { apart, samplesOf } from "./apart.fixture.js";
import type { Tally } from "./e-process.js";
import { GUARDRAILS, type GuardrailId } from "./guardrails.js";
import { Judge, type JudgeOptions, type Observation, type Verdict } from "./judge.js";

const ALL = GUARDRAILS.map(apart);
const pick = (...ids: GuardrailId[]) => ALL.filter(({ id }) => ids.includes(id as GuardrailId));
const judge = (options: Partial<JudgeOptions> = {}) => new Judge({ guardrails: ALL, startedAtS: 0, ...options });

type Tallies = Partial<Record<GuardrailId, readonly [trials: number, breaches: number]>>;
const GOOD: readonly [number, number] = [10_000, 0];
const tally = ([trials, breaches]: readonly [number, number]): Tally => ({ trials, breaches });

interface World {
  atS: number;
  /** Of guardrails not named: many trials without a breach. */
  canary?: Tallies;
  stable?: Tallies;
  without?: readonly GuardrailId[];
}

/** What a look shows. */
function look({ atS, canary = {}, stable = {}, without = [] }: World): Observation {
  const shown = ALL.filter(({ id }) => !without.includes(id as GuardrailId));
  const of = (track: "canary" | "stable", tallies: Tallies) => shown.flatMap((guardrail) => {
    const trials = tallies[guardrail.id as GuardrailId] ?? (guardrail.kind === "never" ? [0, 0] as const : GOOD);
    return samplesOf(guardrail, tally(trials), { track, atS });
  });
  return { atS, samples: [...of("canary", canary), ...of("stable", stable)] };
}

const none = Object.fromEntries(GUARDRAILS.map(({ id }) => [id, [0, 0]])) as Tallies;
const causesOf = (verdict: Verdict) => (verdict.verdict === "rollback" ? verdict.causes.map(({ guardrail, kind }) => `${guardrail} ${kind}`) : []);
const missingOf = (verdict: Verdict, id: GuardrailId) => (verdict.verdict === "inconclusive" ? verdict.missing.find(({ guardrail }) => guardrail === id)?.requests : undefined);

describe("the judge promotes", () => {
  it("when every guardrail shows that it is kept", () => {
    expect(judge().observe(look({ atS: 10 }))).toEqual({ verdict: "promote" });
  });

  it("a candidate at its limits, too, once there is evidence enough", () => {
    const one = judge({ guardrails: pick("errors") });
    expect(one.observe(look({ atS: 10, canary: { errors: [1_000, 10] } })).verdict).toBe("inconclusive");
    expect(one.observe(look({ atS: 20, canary: { errors: [4_000, 40] } })).verdict).toBe("promote");
  });

  it("latencies of warm tenants: while they are warmed up none is judged, and all else is", () => {
    const cold: Tallies = { ...none, query_latency: [1_000, 1_000], database_pool: [1_000, 0] };
    const one = judge({ guardrails: pick("query_latency", "database_pool") });
    expect(missingOf(one.observe({ ...look({ atS: 1, canary: cold }), isWarming: true }), "query_latency")).toBeGreaterThan(0);
    expect(missingOf(one.verdict, "database_pool")).toBeUndefined();
    expect(one.observe(look({ atS: 2, canary: { ...cold, query_latency: [2_000, 1_000] } })).verdict).toBe("promote");
    expect(causesOf(judge({ guardrails: pick("errors") }).observe({ ...look({ atS: 1, canary: { errors: [10, 10] } }), isWarming: true }))).toEqual(["errors evidence"]);
  });

  it("nothing at twice the limit on one guardrail, whatever the others show", () => {
    for (const [id, canary] of [["errors", [10_000, 200]], ["stream_success", [10_000, 80]], ["query_latency", [10_000, 1_000]]] as const) {
      expect(judge().observe(look({ atS: 10, canary: { [id]: canary } })).verdict).not.toBe("promote");
    }
  });
});

describe("the judge is inconclusive", () => {
  it("without traffic, and says how many requests are missing, all without a breach", () => {
    const verdict = judge().observe(look({ atS: 10, canary: none, stable: none }));
    expect(missingOf(verdict, "errors")).toBe(177);
    expect(missingOf(verdict, "stream_success")).toBe(444);
    expect(missingOf(verdict, "write_latency")).toBe(34);
    expect(missingOf(verdict, "cross_tenant_reached")).toBeUndefined();
  });

  it("with exactly one request less than it says, and not with that one", () => {
    const guardrails = pick("stream_success");
    expect(judge({ guardrails }).observe(look({ atS: 10, canary: { stream_success: [443, 0] } }))).toEqual({ verdict: "inconclusive", missing: [{ guardrail: "stream_success", requests: 1 }] });
    expect(judge({ guardrails }).observe(look({ atS: 10, canary: { stream_success: [444, 0] } })).verdict).toBe("promote");
  });

  it("for as long as nothing comes: time ends no step", () => {
    const one = judge();
    const canary: Tallies = { errors: [100, 0] };
    const verdict = one.observe(look({ atS: 10, canary }));
    expect(verdict.verdict).toBe("inconclusive");
    for (let atS = 20; atS < 100_000; atS += 50) expect(one.observe(look({ atS, canary }))).toEqual(verdict);
  });

  it("with five requests that went well: they bound no rate", () => {
    const five = Object.fromEntries(GUARDRAILS.map(({ id, kind }) => [id, kind === "never" ? [0, 0] : [5, 0]])) as Tallies;
    expect(judge().observe(look({ atS: 10, canary: five })).verdict).toBe("inconclusive");
  });
});

describe("the judge rolls back", () => {
  it.each([["cross_tenant_reached"], ["integrity_failures"]] as const)("at the first event of %s, also one before the first look", (id) => {
    expect(causesOf(judge().observe(look({ atS: 1, canary: { [id]: [0, 1] } })))).toEqual([`${id} event`]);
  });

  it("not for a row that the stable release cannot open either, and at the first that it can", () => {
    const one = judge();
    const damaged: Tallies = { integrity_failures: [0, 1] };
    expect(one.observe({ ...look({ atS: 1, canary: damaged }), excused: { integrity_failures: 1 } }).verdict).toBe("promote");
    expect(causesOf(one.observe({ ...look({ atS: 2, canary: { integrity_failures: [0, 2] } }), excused: { integrity_failures: 1 } }))).toEqual(["integrity_failures event"]);
  });

  it.each([[{ cross_tenant_reached: 1 }], [{ errors: 1 }], [{ integrity_failures: -1 }], [{ nothing: 1 }]])("and takes no excuse %j", (excused) => {
    expect(() => judge().observe({ ...look({ atS: 1 }), excused })).toThrow(InvalidArgumentError);
  });

  it.each([["errors", 2], ["stream_success", 2], ["query_latency", 3]] as const)("for %s after %d requests that all fail, of a candidate that gets a twentieth of the traffic", (id, requests) => {
    const one = judge();
    for (let i = 1; i < requests; i++) expect(one.observe(look({ atS: i, canary: { ...none, [id]: [i, i] } })).verdict).toBe("inconclusive");
    expect(causesOf(one.observe(look({ atS: requests, canary: { ...none, [id]: [requests, requests] } })))).toEqual([`${id} evidence`]);
  });

  it("by a part of the budget for each guardrail: evidence that is enough for one alone is not enough for one of nine", () => {
    // Evidence of 113: above 1/.01, below 9/.01.
    const canary: Tallies = { ...none, query_latency: [2, 2] };
    expect(causesOf(judge({ guardrails: pick("query_latency") }).observe(look({ atS: 1, canary })))).toEqual(["query_latency evidence"]);
    expect(judge().observe(look({ atS: 1, canary })).verdict).toBe("inconclusive");
  });

  it("after a long time that went well, too", () => {
    const one = judge({ guardrails: pick("errors") });
    for (let i = 1; i <= 500; i++) one.observe(look({ atS: i, canary: { errors: [i * 100, 0] } }));
    expect(one.verdict.verdict).toBe("promote");
    expect(causesOf(one.observe(look({ atS: 501, canary: { errors: [50_012, 12] } })))).toEqual(["errors evidence"]);
  });

  it("tells what it counted and how much evidence it is", () => {
    expect(judge({ guardrails: pick("errors") }).observe(look({ atS: 1, canary: { errors: [10, 10] } }))).toMatchObject({
      causes: [{ guardrail: "errors", kind: "evidence", candidate: { trials: 10, breaches: 10 }, needed: Math.log(100) }],
    });
  });

  it.each(GUARDRAILS.map(({ id }) => [id]))("when %s is absent for longer than it may be, not before", (id) => {
    const one = judge();
    expect(one.observe(look({ atS: 60, without: [id] })).verdict).toBe("inconclusive");
    expect(causesOf(one.observe(look({ atS: 61, without: [id] })))).toEqual([`${id} silent`]);
  });

  it("when a series is stale", () => {
    const one = judge();
    one.observe(look({ atS: 10 }));
    expect(one.observe({ ...look({ atS: 10 }), atS: 70 }).verdict).toBe("promote");
    const verdict = one.observe({ ...look({ atS: 10 }), atS: 71 });
    expect(new Set(causesOf(verdict))).toEqual(new Set(GUARDRAILS.map(({ id }) => `${id} silent`)));
  });

  it("when the stable release falls silent where it is compared with, and only there", () => {
    const one = judge();
    const samples = look({ atS: 61 }).samples.filter(({ labels }) => labels.track === "canary");
    expect(causesOf(one.observe({ atS: 61, samples }))).toEqual(["rerank_skips silent", "cross_tenant_refused silent"]);
  });

  it("for good: no verdict comes after it", () => {
    const one = judge();
    const verdict = one.observe(look({ atS: 1, canary: { cross_tenant_reached: [0, 1] } }));
    expect(one.observe(look({ atS: 2 }))).toBe(verdict);
    expect(one.verdict).toBe(verdict);
  });
});

describe("beside the stable release", () => {
  const beside = (id: GuardrailId, looks: readonly (readonly [canary: readonly [number, number], stable: readonly [number, number]])[]) => {
    const one = judge({ guardrails: pick(id) });
    one.observe(look({ atS: 1, canary: none, stable: none }));
    return looks.map(([canary, stable], i) => one.observe(look({ atS: i + 2, canary: { [id]: canary }, stable: { [id]: stable } })))[looks.length - 1];
  };

  it("a candidate that skips reranking no more than it is promoted, although both are over the limit", () => {
    expect(beside("rerank_skips", [[[1_000, 300], [19_000, 5_700]]]).verdict).toBe("promote");
  });

  it("a candidate over the limit that skips more is rolled back", () => {
    expect(causesOf(beside("rerank_skips", [[[1_000, 300], [19_000, 1_900]]]))).toEqual(["rerank_skips evidence"]);
  });

  it("a candidate under the limit is not rolled back for a stable release that never skips", () => {
    expect(beside("rerank_skips", [[[10_000, 60], [190_000, 0]]]).verdict).toBe("promote");
  });

  it("attempts that a client spreads over both roll nothing back: no client has a veto", () => {
    expect(beside("cross_tenant_refused", [[[1_000, 400], [19_000, 7_600]]]).verdict).toBe("promote");
  });

  it("attempts that only the candidate sees roll it back", () => {
    expect(causesOf(beside("cross_tenant_refused", [[[1_000, 5], [19_000, 0]]]))).toEqual(["cross_tenant_refused evidence"]);
  });

  it("hours of different rates are compared each with its own", () => {
    // At night 100 of 1,000 are refused, by day none; the candidate gets most of its traffic at night.
    expect(beside("cross_tenant_refused", [[[900, 90], [1_000, 100]], [[1_000, 90], [20_000, 100]]]).verdict).not.toBe("rollback");
    expect(causesOf(beside("cross_tenant_refused", [[[1_000, 90], [20_000, 100]]]))).toEqual(["cross_tenant_refused evidence"]);
  });

  it("a window waits for requests on both sides", () => {
    expect(beside("cross_tenant_refused", [[[100, 5], [0, 0]], [[200, 10], [0, 0]]]).verdict).toBe("inconclusive");
  });
});

describe("whatever comes", () => {
  const ids: readonly GuardrailId[] = ["errors", "query_latency", "rerank_skips", "cross_tenant_refused", "cross_tenant_reached"];
  const guardrails = pick(...ids);
  const step = fc.record({
    trials: fc.nat(300),
    parts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: ids.length, maxLength: ids.length }),
    isScraped: fc.boolean(),
  });
  const history = fc.array(step, { minLength: 1, maxLength: 12 });
  const rank = ({ verdict }: Verdict) => ["promote", "inconclusive", "rollback"].indexOf(verdict);

  /** The verdicts of a history. extra: breaches more at each look. */
  function verdicts(steps: readonly { trials: number; parts: number[]; isScraped: boolean }[], extra: (step: number, guardrail: number) => number, shuffle = (observation: Observation) => observation): Verdict[] {
    const one = new Judge({ guardrails, startedAtS: 0 });
    const canary = ids.map(() => [0, 0] as [number, number]);
    const stable = ids.map(() => [0, 0] as [number, number]);
    let shown = look({ atS: 0, canary: none, stable: none });
    return steps.map(({ trials, parts, isScraped }, i) => {
      ids.forEach((id, g) => {
        const isNever = id === "cross_tenant_reached";
        const most = isNever ? 0 : trials;
        const breaches = Math.floor((parts[g] ?? 0) ** 4 * most * 0.5);
        canary[g][0] += most;
        canary[g][1] += isNever ? extra(i, g) : Math.min(most, breaches + extra(i, g));
        stable[g][0] += most * 2;
        stable[g][1] += Math.floor(breaches / 2);
      });
      const atS = (i + 1) * 25;
      const of = (tallies: [number, number][]) => Object.fromEntries(ids.map((id, g) => [id, tallies[g]])) as Tallies;
      if (isScraped) shown = look({ atS, canary: of(canary), stable: of(stable) });
      return one.observe(shuffle({ ...shown, atS }));
    });
  }

  it("more breaches never make a verdict better", () => {
    fc.assert(fc.property(history, fc.func(fc.nat(4)), (steps, extra) => {
      const [fewer, more] = [verdicts(steps, () => 0), verdicts(steps, extra)];
      fewer.forEach((verdict, i) => {
        expect(rank(more[i])).toBeGreaterThanOrEqual(rank(verdict));
        for (const id of ids) {
          if (more[i].verdict === "inconclusive") expect(missingOf(more[i], id) ?? 0).toBeGreaterThanOrEqual(missingOf(verdict, id) ?? 0);
        }
      });
    }));
  });

  it("a rollback is never taken back", () => {
    fc.assert(fc.property(history, fc.func(fc.nat(4)), (steps, extra) => {
      const all = verdicts(steps, extra);
      const first = all.findIndex(({ verdict }) => verdict === "rollback");
      if (first >= 0) for (const verdict of all.slice(first)) expect(verdict).toBe(all[first]);
    }));
  });

  it("the order in which series come changes nothing", () => {
    fc.assert(fc.property(history, fc.func(fc.integer()), (steps, order) => {
      const shuffle = (observation: Observation): Observation => ({ ...observation, samples: [...observation.samples].sort((a, b) => order(a.metric, a.labels.track) - order(b.metric, b.labels.track)) });
      expect(verdicts(steps, () => 0, shuffle)).toEqual(verdicts(steps, () => 0));
    }));
  });
});
