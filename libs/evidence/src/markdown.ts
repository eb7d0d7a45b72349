import { keepsLimit, passes, type Figure } from "./figure.js";
import type { Findings } from "./findings.js";

const TITLES: Readonly<Record<Findings["kind"], string>> = { security: "Security approval", regression: "Regression approval", perf: "Performance approval", gpu: "Performance approval on a GPU" };

/** A report for people: everything that is signed, in the same numbers. */
export function markdownOf(findings: Findings): string {
  const { kind, version, commit, started_at: startedAt, ended_at: endedAt, machine, settings, figures, not_yet: notYet } = findings;
  const { cpus, memory_gib: memoryGib, os, node, openssl } = machine;
  const failed = figures.filter((figure) => !keepsLimit(figure));
  return [
    `# ${TITLES[kind]} of ${version}: ${passes(figures) ? "passed" : "FAILED"}`,
    "",
    `Commit ${commit}. ${startedAt} to ${endedAt}. ${cpus}, ${memoryGib} GiB, ${os}, Node ${node}, OpenSSL ${openssl}.`,
    ...section("Failed", failed.map(({ what }) => what)),
    ...section("Settings", settings),
    "",
    "## Figures",
    "",
    "| figure | value | limit | | |",
    "|---|---|---|---|---|",
    ...figures.map(rowOf),
    ...section("Not yet", notYet),
    ...figures.flatMap(({ what, details = [] }) => section(`Of "${what}"`, details)),
    "",
  ].join("\n");
}

function rowOf(figure: Figure): string {
  const { what, value, unit, limit, note = "" } = figure;
  const shown = (number: number | null): string => (number === null ? "not measured" : `${Number(number.toPrecision(6))}${unit === "" ? "" : ` ${unit}`}`);
  const verdict = limit === undefined ? "" : keepsLimit(figure) ? "kept" : "**FAILED**";
  return `| ${[what, shown(value), limit === undefined ? "" : `${limit.is} ${shown(limit.value)}`, verdict, note].map(cell).join(" | ")} |`;
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", `## ${title}`, "", ...lines.map((line) => `- ${line}`)];
}
