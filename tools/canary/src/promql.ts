import type { Part, Selector } from "@memseal/guardrails";

/** What is counted is counted over the last five minutes: long enough for evidence, short enough that a good past does not outweigh what has just begun. */
export const WINDOW_S = 300;
const WINDOW = "5m";

/** series of a selector, with more labels as PromQL has them. */
export function series({ metric, labels = {} }: Selector, ...more: readonly string[]): string {
  const matchers = [...Object.entries(labels).map(([label, values]) => oneOf(label, values)), ...more];
  return matchers.length === 0 ? metric : `${metric}{${matchers.join(",")}}`;
}

function oneOf(label: string, values: readonly string[]): string {
  const [only] = values;
  if (values.length === 1) return `${label}=${JSON.stringify(only)}`;
  return `${label}=~${JSON.stringify(values.map((value) => value.replaceAll(/[^\w]/g, String.raw`\$&`)).join("|"))}`;
}

/**
 * What a counter counted in the window, by track: whole numbers, where `increase` extrapolates. A counter below where it was began
 * again, and counts whole. Of a candidate's series that was not there before everything counts: its first event must not hide
 * with its first sample. Of the stable release's nothing does: it may be years old and Prometheus new.
 */
function countOf(selector: Selector): string {
  const now = series(selector);
  const then = `${now} offset ${WINDOW}`;
  return `sum by (track) (${now} - (${then} <= ${now} or 0 * ${then} or ${series(selector, 'track="stable"')} or 0 * ${now}))`;
}

/** Sums the parts of a guardrail that count as `what`. */
export function count(parts: readonly Part[], what: "trials" | "breaches"): string {
  return parts
    .filter((part) => part[what] !== 0)
    .map((part, i) => `${part[what] < 0 ? "- " : i > 0 ? "+ " : ""}${countOf(part.selector)}`)
    .join(" ");
}
