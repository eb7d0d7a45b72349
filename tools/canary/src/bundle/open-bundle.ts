import type { KeyObject } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { EvidenceError, jsonOf, openSignedText, sha256 } from "@memseal/evidence";
import { Chain, HEADER, MANIFEST_FILE, PAYLOAD_TYPE, parseFacts, SIGNATURE_FILE, type BundleFacts, type BundleHeader, type ManifestEntry } from "./manifest.js";
import { headerText } from "./recorder.js";

/** A bundle that is whole, in order and signed. What its artifacts say is for others to check. */
export interface Bundle {
  readonly facts: BundleFacts;
  readonly entries: readonly ManifestEntry[];
  /** @throws EvidenceError where there is no such artifact */
  text(file: string): string;
}

export interface OpenOptions {
  /** Of whoever ran the release: from elsewhere than the bundle, or anybody could have signed it. */
  publicKey: KeyObject;
  now?: Date;
}

/**
 * Opens what a BundleRecorder closed.
 * @throws EvidenceError for the first thing found that is missing, added, altered, out of order, of another release or from the future
 */
export function openBundle(dir: string, { publicKey, now = new Date() }: OpenOptions): Bundle {
  const facts = signedFacts(read(dir, SIGNATURE_FILE).toString(), publicKey);
  const { entries, head } = Chain.parse(read(dir, MANIFEST_FILE).toString());
  if (entries.length !== facts.entries || head !== facts.head) throw new EvidenceError(`${MANIFEST_FILE} is not the one that was signed`);
  assertTimes(facts, entries, now);
  assertNothingElse(dir, entries);
  const texts = new Map(entries.map((entry) => [entry.file, contentOf(dir, entry)]));
  for (const [file, text] of texts) assertHeader(file, text, facts);
  return {
    facts,
    entries,
    text: (file) => {
      const text = texts.get(file);
      if (text === undefined) throw new EvidenceError(`${file} is missing`);
      return text;
    },
  };
}

function signedFacts(text: string, publicKey: KeyObject): BundleFacts {
  return parseFacts(openSignedText(text, SIGNATURE_FILE, PAYLOAD_TYPE, publicKey));
}

function read(dir: string, file: string): Buffer {
  try {
    return readFileSync(join(dir, file));
  } catch (error) {
    throw new EvidenceError(`${file} is missing`, { cause: error });
  }
}

function contentOf(dir: string, { file, bytes, sha256: hash }: ManifestEntry): string {
  const content = read(dir, file);
  if (content.length !== bytes || sha256(content) !== hash) throw new EvidenceError(`${file} is not as it was recorded`);
  return content.toString();
}

function assertTimes({ started_at: startedAt, ended_at: endedAt }: BundleFacts, entries: readonly ManifestEntry[], now: Date): void {
  const times = [startedAt, ...entries.map(({ recorded_at: recordedAt }) => recordedAt), endedAt];
  for (const [i, time] of times.entries()) if (i > 0 && time < (times[i - 1] ?? "")) throw new EvidenceError("something was recorded before the start or after the end");
  if (endedAt > now.toISOString()) throw new EvidenceError("the bundle ends in the future");
}

/** A link counts as something else, wherever it leads. */
function assertNothingElse(dir: string, entries: readonly ManifestEntry[]): void {
  const known = new Set([MANIFEST_FILE, SIGNATURE_FILE, ...entries.map(({ file }) => file)]);
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    const file = relative(dir, join(entry.parentPath, entry.name)).split(sep).join("/");
    if (entry.isFile() ? !known.has(file) : !entry.isDirectory()) throw new EvidenceError(`${file} was not recorded`);
  }
}

function assertHeader(file: string, text: string, { release, mode, time_scale }: BundleFacts): void {
  const expected: BundleHeader = { release, mode, time_scale };
  if (!/\.jsonl?$/.test(file)) {
    if (!text.includes(headerText(expected))) throw new EvidenceError(`${file} is of another release, mode or time scale`);
    return;
  }
  const json = jsonOf(file.endsWith(".jsonl") ? text.slice(0, text.indexOf("\n")) : text, file);
  const header = HEADER.safeParse((json as { header?: unknown } | null)?.header);
  if (!header.success || headerText(header.data) !== headerText(expected)) throw new EvidenceError(`${file} is of another release, mode or time scale`);
}
