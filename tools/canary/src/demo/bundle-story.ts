import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { seriesIn, type Asked } from "../adapters/prometheus.js";
import { dashboards } from "../dashboards.js";
import type { LoadRow } from "../load/load-row.js";
import { ARTIFACTS } from "../runner/artifacts.js";
import { reasonLines, type Decision } from "../runner/decision.js";

/** What the evidence of a release says of its end. */
export interface BundleStory {
  readonly cause: string;
  /** Requests of the load that failed, by whether the candidate answered them. */
  readonly errors: { readonly ofCandidate: number; readonly ofOthers: number };
  /** Charts of the dashboards with a query that had no data over the whole release. */
  readonly emptyCharts: readonly string[];
}

/** dir: of the evidence, which need not be whole. */
export function storyOf(dir: string): BundleStory {
  const failed = rowsIn(join(dir, ARTIFACTS.requests)).filter(({ error }) => error !== null);
  const ofCandidate = failed.filter(({ track }) => track === "canary").length;
  return { cause: causeIn(join(dir, ARTIFACTS.decision)), errors: { ofCandidate, ofOthers: failed.length - ofCandidate }, emptyCharts: dashboards().flatMap(({ uid }) => emptyIn(join(dir, ARTIFACTS.dashboard(uid)))) };
}

function causeIn(file: string): string {
  if (!existsSync(file)) return "";
  const { reasons } = JSON.parse(readFileSync(file, "utf8")) as Pick<Decision, "reasons">;
  return reasons.flatMap(reasonLines).join("; ");
}

function emptyIn(file: string): string[] {
  if (!existsSync(file)) return [];
  const { panels } = JSON.parse(readFileSync(file, "utf8")) as { panels: { title: string; answers: Asked[] }[] };
  return panels.filter(({ answers }) => answers.some((answer) => seriesIn(answer) === 0)).map(({ title }) => title);
}

function rowsIn(file: string): LoadRow[] {
  if (!existsSync(file)) return [];
  // Under a line that is the header.
  return readFileSync(file, "utf8").trimEnd().split("\n").slice(1).map((line) => JSON.parse(line) as LoadRow);
}
