import type { KeyObject } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { EvidenceError } from "./evidence-error.js";
import { envelopeText, openSignedText, signEnvelope } from "./dsse.js";
import { jsonOf } from "./json-of.js";
import { sha256 } from "./sha256.js";
import { passes } from "./figure.js";
import { FINDINGS, type Findings } from "./findings.js";
import { markdownOf } from "./markdown.js";

const PAYLOAD_TYPE = "application/vnd.memseal.approval+json";

const REPORT = FINDINGS.extend({
  passed: z.boolean(),
  /** SHA-256 of the Markdown beside it. */
  markdown_sha256: z.string(),
});
/** What is signed of an approval. */
export type Report = z.infer<typeof REPORT>;

/** `<kind>-<version>-<first 12 digits of the commit>.json`; the Markdown beside it ends with .md. */
export function reportName({ kind, version, commit }: Pick<Findings, "kind" | "version" | "commit">): string {
  return `${kind}-${version}-${commit.slice(0, 12)}.json`;
}

/** @throws EvidenceError where this approval of this commit is written already: what it found stays */
export function assertUnwritten(dir: string, of: Pick<Findings, "kind" | "version" | "commit">): void {
  for (const name of [reportName(of), markdownName(reportName(of))]) {
    if (existsSync(join(dir, name))) throw new EvidenceError(`${name} is written already, and is not written over: take it away where it is no evidence of anything`);
  }
}

/**
 * Writes a report signed with an Ed25519 key, and the same for people beside it. Returns the path of the signed one.
 * @throws EvidenceError for another kind of key, or where it is written already
 */
export function writeReport(dir: string, findings: Findings, key: KeyObject): string {
  const report = reportOf(findings);
  const envelope = signEnvelope(PAYLOAD_TYPE, Buffer.from(JSON.stringify(report)), key);
  assertUnwritten(dir, findings);
  mkdirSync(dir, { recursive: true });
  const file = join(dir, reportName(findings));
  writeFileSync(markdownName(file), markdownOf(findings), { flag: "wx" });
  writeFileSync(file, envelopeText(envelope), { flag: "wx" });
  return file;
}

function reportOf(findings: Findings): Report {
  return { ...findings, passed: passes(findings.figures), markdown_sha256: sha256(markdownOf(findings)) };
}

/**
 * Opens what writeReport wrote. publicKey: of whoever approves, from elsewhere than the report.
 * @throws EvidenceError for a report that is missing, altered, renamed, signed by another key, not beside its Markdown, says of itself what its
 * figures do not, or is from the future
 */
export function openReport(file: string, publicKey: KeyObject, now = new Date()): Report {
  const text = read(file);
  const payload = openSignedText(text, basename(file), PAYLOAD_TYPE, publicKey);
  const parsed = REPORT.safeParse(jsonOf(payload.toString(), basename(file)));
  if (!parsed.success) throw new EvidenceError("what is signed is no report of an approval");
  const report = parsed.data;
  if (basename(file) !== reportName(report)) throw new EvidenceError(`${basename(file)} is the report ${reportName(report)}`);
  if (sha256(read(markdownName(file))) !== report.markdown_sha256) throw new EvidenceError(`${basename(markdownName(file))} is not as it was written`);
  if (report.passed !== passes(report.figures)) throw new EvidenceError(`the report says that it ${report.passed ? "passed" : "failed"}, and its figures say otherwise`);
  if (report.ended_at < report.started_at) throw new EvidenceError("the report ends before it starts");
  if (report.ended_at > now.toISOString()) throw new EvidenceError("the report is from the future");
  return report;
}

const markdownName = (file: string): string => file.replace(/\.json$/, ".md");

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new EvidenceError(`${basename(file)} is missing`, { cause: error });
  }
}
