import { InvalidArgumentError } from "@memseal/errors";
import fc from "fast-check";
import { apart, samplesOf } from "./apart.fixture.js";
import { Counters, type Sample } from "./counters.js";
import type { Guardrail } from "./guardrails.js";

const rate: Guardrail = apart({ id: "errors", title: "errors", kind: "rate", limit: 0.01, trials: [], breaches: [] });
const latency: Guardrail = apart({ id: "latency", title: "latency", kind: "quantile", quantile: 0.95, limit: 0.4, unit: "seconds", histogram: { metric: "" } });

/** A counter of the candidate, at value after value. */
const readings = (metric: string, ...values: [atS: number, value: number][]) =>
  values.map(([atS, value]): Sample => ({ metric, labels: { track: "canary", instance: "a" }, value, atS }));
const canary = (atS: number, instance = "a") => ({ track: "canary" as const, atS, instance });
const stable = (atS: number, instance = "a") => ({ track: "stable" as const, atS, instance });

function counted(...samples: readonly Sample[]): Counters {
  const counters = new Counters([rate, latency], 0);
  for (const sample of samples) counters.read({ atS: sample.atS, samples: [sample] });
  return counters;
}

describe("counters of a candidate", () => {
  it("count from when its processes began: what happened before the first look is not hidden by it", () => {
    expect(counted(...readings("errors_bad", [10, 3])).tally("errors", "canary")).toEqual({ trials: 3, breaches: 3 });
  });

  it("count an event whose series was not there before it", () => {
    const counters = counted(...readings("errors_good", [10, 50], [20, 60]), ...readings("errors_bad", [30, 1]));
    expect(counters.tally("errors", "canary")).toEqual({ trials: 61, breaches: 1 });
  });

  it("go on after a reset, and what was counted before it stays counted", () => {
    expect(counted(...readings("errors_bad", [10, 3], [20, 5], [30, 1], [40, 4])).tally("errors", "canary").breaches).toBe(9);
  });

  it("take no late sample for a reset, and none twice", () => {
    const [early, late, again] = readings("errors_bad", [10, 5], [9, 4], [10, 5]);
    const counters = new Counters([rate], 0);
    counters.read({ atS: 10, samples: [early] });
    counters.read({ atS: 11, samples: [late, again] });
    expect(counters.tally("errors", "canary").breaches).toBe(5);
  });

  it("are added up over instances", () => {
    const counters = new Counters([latency], 0);
    counters.read({ atS: 5, samples: [...samplesOf(latency, { trials: 10, breaches: 1 }, canary(5, "a")), ...samplesOf(latency, { trials: 20, breaches: 3 }, canary(5, "b"))] });
    expect(counters.tally("latency", "canary")).toEqual({ trials: 30, breaches: 4 });
  });

  it("are the same in whatever order series come, and however often processes begin again", () => {
    const increases = fc.array(fc.record({ instance: fc.constantFrom("a", "b"), good: fc.nat(50), bad: fc.nat(5), restarts: fc.boolean() }), { maxLength: 20 });
    fc.assert(fc.property(increases, fc.func(fc.integer()), (steps, order) => {
      const counters = new Counters([rate], 0);
      const values = { a: { good: 0, bad: 0 }, b: { good: 0, bad: 0 } };
      const total = { good: 0, bad: 0 };
      steps.forEach(({ instance, good, bad, restarts }, i) => {
        const value = values[instance];
        // A restart that outgrows what was before cannot be seen in a counter.
        if (restarts && good < value.good && bad < value.bad) Object.assign(value, { good: 0, bad: 0 });
        value.good += good;
        value.bad += bad;
        total.good += good;
        total.bad += bad;
        const samples = Object.entries(values).flatMap(([name, { good: g, bad: b }]) => samplesOf(rate, { trials: g + b, breaches: b }, canary(i + 1, name)));
        counters.read({ atS: i + 1, samples: samples.sort((x, y) => order(JSON.stringify(x)) - order(JSON.stringify(y))) });
      });
      expect(counters.tally("errors", "canary")).toEqual({ trials: total.good + total.bad, breaches: total.bad });
    }));
  });
});

describe("counters of the stable release", () => {
  it("count from when they were first seen: its years before are no comparison", () => {
    const counters = new Counters([rate], 0);
    counters.read({ atS: 10, samples: samplesOf(rate, { trials: 1_000_000, breaches: 900 }, stable(10)) });
    expect(counters.tally("errors", "stable")).toEqual({ trials: 0, breaches: 0 });
    counters.read({ atS: 20, samples: samplesOf(rate, { trials: 1_000_040, breaches: 902 }, stable(20)) });
    expect(counters.tally("errors", "stable")).toEqual({ trials: 40, breaches: 2 });
    expect(counters.tally("errors", "canary")).toEqual({ trials: 0, breaches: 0 });
  });
});

describe("a series", () => {
  it("is silent since it was last scraped, not since it was last asked for", () => {
    const counters = new Counters([rate], 100);
    counters.read({ atS: 110, samples: samplesOf(rate, { trials: 5, breaches: 0 }, canary(105)) });
    expect(counters.silentS("errors", "canary")).toBe(5);
    counters.read({ atS: 170, samples: samplesOf(rate, { trials: 5, breaches: 0 }, canary(105)) });
    expect(counters.silentS("errors", "canary")).toBe(65);
  });

  it("that was never there is silent since the start, however much the others say", () => {
    const counters = new Counters([latency], 100);
    const [count] = samplesOf(latency, { trials: 5, breaches: 0 }, canary(160));
    counters.read({ atS: 160, samples: [count] });
    expect(counters.silentS("latency", "canary")).toBe(60);
    expect(counters.isPresent("latency", "canary")).toBe(false);
  });

  it("of one instance that falls silent is not covered by another's, unless it was taken away on purpose", () => {
    const counters = new Counters([rate], 0);
    counters.read({ atS: 10, samples: [...samplesOf(rate, { trials: 1, breaches: 0 }, canary(10, "a")), ...samplesOf(rate, { trials: 1, breaches: 0 }, canary(10, "b"))] });
    const later = samplesOf(rate, { trials: 2, breaches: 0 }, canary(90, "b"));
    counters.read({ atS: 90, samples: later });
    expect(counters.silentS("errors", "canary")).toBe(80);
    counters.read({ atS: 91, samples: later, departed: ["a"] });
    expect(counters.silentS("errors", "canary")).toBe(1);
  });

  it.each([NaN, Infinity, -1])("with %d for a value says nothing", (value) => {
    const counters = counted(...readings("errors_bad", [10, value]), ...readings("errors_good", [10, 1]));
    expect(counters.tally("errors", "canary")).toEqual({ trials: 1, breaches: 0 });
    expect(counters.isPresent("errors", "canary")).toBe(false);
  });

  it("of no track, or without a label its guardrail asks for, counts for nobody", () => {
    const counters = new Counters([latency], 0);
    const labels = { track: "canary", instance: "a" };
    counters.read({ atS: 1, samples: [{ metric: "latency_count", labels: { instance: "a" }, value: 5, atS: 1 }, { metric: "latency_bucket", labels: { ...labels, le: "0.75" }, value: 5, atS: 1 }] });
    expect(counters.tally("latency", "canary")).toEqual({ trials: 0, breaches: 0 });
  });
});

describe("a look", () => {
  it("cannot be older than the last", () => {
    const counters = counted(...readings("errors_good", [10, 1]));
    expect(() => { counters.read({ atS: 9, samples: [] }); }).toThrow(InvalidArgumentError);
  });
});
