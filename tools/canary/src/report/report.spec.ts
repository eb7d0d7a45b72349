import fc from "fast-check";
import { headerText } from "../bundle/recorder.js";
import { PRODUCTION } from "../cadence.js";
import { LOAD_KINDS, type LoadRow } from "../load/load-row.js";
import { summarize } from "../load/load-summary.js";
import { reasonLines, type Decision } from "../runner/decision.js";
import { planOf } from "../runner/release-plan.js";
import { html } from "./html.js";
import type { LookPoint } from "./look-point.js";
import { reportHtml, type ReportInputs } from "./report.js";

const iso = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1_000).toISOString();

const decision: Decision = {
  outcome: "rolled_back",
  reasons: [{ trigger: "alert", alert: "MemsealErrors" }],
  verdict: { verdict: "inconclusive", missing: [] },
  counted: [{ guardrail: "errors", canary: { trials: 321, breaches: 45 }, stable: { trials: 6_543, breaches: 2 } }],
  steps: [{ percent: 5, at: iso(0) }, { percent: 25, at: iso(60) }],
  ended_at: iso(100),
  looks: 2,
};
const nothing: ReportInputs = { header: { release: "v1.2.3-rc.1+build", mode: "local-demo", time_scale: 12 }, plan: planOf(PRODUCTION, 12), decision, rows: [], heard: [], looks: [] };

const row = (of: Partial<LoadRow>): LoadRow => ({ n: 1, at: iso(10), credential: 0, asked: "split", track: "canary", kind: "search", status: 200, ms: 10, reranked: null, integrity_failures: 0, error: null, ...of });
const rows = Array.from({ length: 400 }, (_, i) =>
  row({ n: i + 1, at: iso(i / 4), track: i % 5 === 0 ? "canary" : i === 7 ? null : "stable", kind: LOAD_KINDS[i % 4], ms: 3 + ((i * 37) % 211), reranked: i % 4 === 1 ? i % 8 === 1 : null, error: i % 50 === 0 || i === 7 ? "unavailable" : null }));

const looks: LookPoint[] = [
  { at: iso(15), step_percent: 5, verdict: "inconclusive", evidence: [{ guardrail: "errors", against: 0.25, needed: 6.8, missing: 148 }] },
  { at: iso(100), step_percent: 25, verdict: "inconclusive", evidence: [{ guardrail: "errors", against: 3.456, needed: 6.8, missing: 37 }] },
];

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Every element, of a document in which each is closed in its place, each attribute is quoted, and `&` begins nothing but an entity. @throws Error for any other */
function elementsOf(document: string): Element[] {
  const elements: Element[] = [];
  const open: string[] = [];
  const text = document.replace(/^<!doctype html>\n/, "").replace(/<style>[^<]*<\/style>/, "");
  const left = text.replace(/<(\/?)([a-z0-9]+)((?: [A-Za-z-]+="[^"<>]*")*)( \/)?>/g, (_tag, closes: string, name: string, attributes: string, isEmpty?: string) => {
    if (closes !== "" && open.pop() !== name) throw new Error(`</${name}> closes nothing`);
    if (closes === "") elements.push({ name, attributes: Object.fromEntries([...attributes.matchAll(/ ([A-Za-z-]+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value])) });
    if (closes === "" && isEmpty === undefined) open.push(name);
    return attributes;
  });
  const stray = /[<>]|&(?!(?:amp|lt|gt|quot|#39);)/.exec(left);
  if (open.length > 0 || stray !== null) throw new Error(`not well-formed: ${open.join(", ")} ${left.slice(stray?.index, (stray?.index ?? 0) + 50)}`);
  return elements;
}

const ENTITIES: Readonly<Record<string, string>> = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&amp;": "&" };
const plain = (markup: string) => markup.replace(/<[^>]*>/g, "").replace(/&[a-z0-9#]+;/g, (entity) => ENTITIES[entity] ?? entity);

/** The cells of a table's rows, as text. */
function cellsOf(report: string, caption: string): string[][] {
  const table = report.split("<table>").find((each) => each.startsWith(`<caption>${caption}</caption>`)) ?? "";
  const body = /<tbody>(.*)<\/tbody>/s.exec(table)?.[1] ?? "";
  return [...body.matchAll(/<tr>(.*?)<\/tr>/gs)].map(([, cells = ""]) => [...cells.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell = ""]) => plain(cell)));
}

describe("the report of a release", () => {
  const report = reportHtml({ ...nothing, rows, looks, heard: [{ name: "MemsealErrors", action: "rollback", received_at: iso(99) }, { name: "MemsealWatchdog", action: "heartbeat", received_at: iso(30) }, { name: "MemsealWatchdog", action: "heartbeat", received_at: iso(90) }] });

  it("says which release, mode and time scale it is of, how it ended and why", () => {
    expect(report).toContain(headerText(nothing.header));
    expect(report).toContain("<h1>v1.2.3-rc.1+build: rolled back</h1>");
    expect(report).toContain("<li>the alert MemsealErrors fires</li>");
    expect(reportHtml({ ...nothing, decision: { ...decision, outcome: "promoted", reasons: [] } })).toContain("Every guardrail showed the evidence to promote");
  });

  it("is the same for the same inputs", () => {
    expect(reportHtml({ ...nothing, rows, looks })).toBe(reportHtml({ ...nothing, rows: structuredClone(rows), looks: structuredClone(looks) }));
  });

  it("runs nothing and loads nothing, and forbids itself to", () => {
    const elements = elementsOf(report);
    expect(elements.map(({ name }) => name)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^(?:script|link|img|image|iframe|object|embed|use|a|form|base)$/)]));
    expect(elements.flatMap(({ attributes }) => Object.keys(attributes)).filter((name) => /^(?:on.*|src|href|style)$/.test(name))).toEqual([]);
    expect(elements).toContainEqual({ name: "meta", attributes: { "http-equiv": "Content-Security-Policy", content: "default-src 'none'; style-src 'unsafe-inline'" } });
    expect(/<style>.*<\/style>/s.exec(report)?.[0]).not.toMatch(/url\(|@import/);
  });

  it("gives each picture a title and a description of its own", () => {
    const elements = elementsOf(report);
    const ids = elements.flatMap(({ attributes: { id } }) => (id === undefined ? [] : [id]));
    expect(new Set(ids).size).toBe(ids.length);
    const pictures = elements.filter(({ name, attributes }) => name === "svg" && attributes["aria-hidden"] !== "true");
    expect(pictures).toHaveLength(1 + 1 + LOAD_KINDS.length + 1);
    for (const { attributes } of pictures) expect(attributes["aria-labelledby"]?.split(" ").filter((id) => ids.includes(id))).toHaveLength(2);
  });

  it("is whole where nothing was asked, looked at, heard or even given", () => {
    for (const inputs of [nothing, { ...nothing, decision: { ...decision, steps: [], counted: [], looks: 0 } }, { ...nothing, decision: { ...decision, ended_at: iso(0) } }]) {
      const empty = reportHtml(inputs);
      expect(elementsOf(empty).length).toBeGreaterThan(50);
      expect(empty).not.toMatch(/NaN|Infinity|undefined|null/);
      expect(cellsOf(empty, "Alerts that were heard")).toEqual([["none"]]);
    }
  });

  it("shows as text whatever an alert, a fault or a code says", () => {
    const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("<script>alert(1)</script>", "</title><script>", '" onload="x', "' onclick='x", "&lt;", "</style>", "]]><!--", "\u{202e}gnp.<b>", "\u{0}", "\u{d800}", "${x}"), fc.mixedCase(fc.constant("<script src=//x>")));
    const saying = (alert: string, fault: string, code: string) => reportHtml({
      ...nothing,
      decision: {
        ...decision,
        reasons: [{ trigger: "alert", alert }, { trigger: "runner", fault }, { trigger: "evidence", missing: [{ guardrail: code, requests: 3 }], held: [alert] }],
        counted: [{ guardrail: code, canary: { trials: 1, breaches: 0 }, stable: { trials: 1, breaches: 0 } }],
      },
      rows: [row({ error: code })],
      heard: [{ name: alert, action: "hold", received_at: iso(20) }],
      looks: [{ at: iso(20), step_percent: 5, verdict: fault, evidence: [{ guardrail: code, against: 0, needed: 6.8, missing: 148 }] }],
    });
    const harmless = elementsOf(saying("a", "b", "c"));
    fc.assert(fc.property(text, text, text, (alert, fault, code) => {
      const hostile = saying(alert, fault, code);
      expect(hostile).not.toMatch(/<script/i);
      expect(elementsOf(hostile)).toEqual(harmless);
      const visible = (said: string) => said.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, "\u{fffd}");
      expect(plain(hostile)).toContain(visible(reasonLines({ trigger: "runner", fault })[0] ?? ""));
      expect(cellsOf(hostile, "Alerts that were heard")[0]?.[0]).toBe(visible(alert));
    }), { numRuns: 50 });
  });

  it("shows the numbers of the load's summary", () => {
    const { tracks, without_track: nobody, split } = summarize(rows);
    const shown = (...values: (number | null)[]) => values.map((value) => (value === null ? "–" : String(value)));
    expect(cellsOf(report, "Requests of the runner's own load, by who answered".replace("'", "&#39;"))).toEqual([
      ...(["canary", "stable"] as const).map((track) => [track === "canary" ? "candidate" : "stable", ...shown(tracks[track].requests, tracks[track].failures, tracks[track].reranked, tracks[track].rerank_skipped)]),
      ["nobody, or one who does not say", ...shown(nobody, nobody, null, null)],
    ]);
    const latencies = cellsOf(report, "Latency over the whole release, in ms");
    for (const kind of LOAD_KINDS) {
      const { requests, failures, p50_ms, p95_ms, p99_ms } = tracks.stable.by_kind[kind];
      expect(latencies).toContainEqual([kind, "stable", ...shown(requests, failures, p50_ms, p95_ms, p99_ms)]);
    }
    expect(cellsOf(report, "Requests that named no track: who answered, over all steps")[0]).toEqual(["requests", ...shown(split.requests, split.canary_requests, split.canary_requests_percent)]);
    expect(cellsOf(report, "Failures of the runner's own load".replace("'", "&#39;")).reduce((sum, [, , , count]) => sum + Number(count), 0)).toBe(rows.filter(({ error }) => error !== null).length);
  });

  it("loses no request and no failure between its parts of the time", () => {
    const parts = cellsOf(report, "requests a second").map(([, ...rates]) => rates.map(Number));
    const lengthS = 100 / parts.length;
    const { tracks } = summarize(rows);
    const sum = (column: number) => parts.reduce((total, rates) => total + (rates[column] ?? NaN) * lengthS, 0);
    [tracks.canary.requests, tracks.stable.requests, tracks.canary.failures, tracks.stable.failures, 1].forEach((count, column) => { expect(sum(column)).toBeCloseTo(count, 0); });
  });

  it("shows what the judge counted, and what each look still missed", () => {
    expect(cellsOf(report, "Counted for each guardrail")).toEqual([["errors", "requests that end in a fault of the service", "1%", "45", "321", "2", "6543"]]);
    expect(cellsOf(report, "missing trials at the last look of each part of the time")).toEqual([["0:15", "5%", "inconclusive", "148"], ["1:40", "25%", "inconclusive", "37"]]);
    expect(cellsOf(report, "evidence against, a natural logarithm, at the last look of each part of the time")).toEqual([["0:15", "0.25"], ["1:40", "3.46"]]);
    expect(report).toContain("missing 37 of 148 trials; evidence against at most 3.5 of 6.8");
  });

  it("shows how long each step was watched, in real time and in the plan's", () => {
    expect(cellsOf(report, "Steps")).toEqual([["5%", iso(0), "60", "720", "3600"], ["25%", iso(60), "40", "480", "900"]]);
  });

  it("counts how often an alert was heard, and draws those that act", () => {
    expect(cellsOf(report, "Alerts that were heard")).toEqual([["MemsealErrors", "rollback", "1", iso(99), iso(99)], ["MemsealWatchdog", "heartbeat", "2", iso(30), iso(90)]]);
    expect(elementsOf(report).filter(({ name, attributes }) => name === "path" && /^event /.test(attributes.class ?? "")).map(({ attributes }) => attributes.class)).toEqual(["event rollback", "event end-of-release"]);
  });
});

describe("markup", () => {
  it("escapes all that is no markup, and nothing twice", () => {
    expect(html`<b title="${`"'`}">${"<&>"}${html`<i>${"&amp;"}</i>`}${[html`${1}`]}</b>`.text).toBe('<b title="&quot;&#39;">&lt;&amp;&gt;<i>&amp;amp;</i>1</b>');
  });
});
