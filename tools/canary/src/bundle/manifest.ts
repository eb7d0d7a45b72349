import { EvidenceError, sha256, TIME } from "@memseal/evidence";
import { z } from "zod";
import { jsonIn } from "../json.js";

/** Of the folder of a bundle: one line an artifact, in the order in which they were recorded. */
export const MANIFEST_FILE = "MANIFEST.jsonl";
/** Says of the whole bundle what `BundleFacts` says, signed. */
export const SIGNATURE_FILE = "MANIFEST.dsse.json";
export const PAYLOAD_TYPE = "application/vnd.memseal.release-evidence+json";

const SHA256 = z.string().regex(/^[0-9a-f]{64}$/);
/** Relative, with /, without anything that leads elsewhere. */
const FILE = z.string().max(200).regex(/^(?:[a-z0-9][A-Za-z0-9._+-]*\/)*[a-z0-9][A-Za-z0-9._+-]*$/);

const ENTRY = z.strictObject({
  /** From 1. */
  n: z.number().int().min(1),
  file: FILE,
  bytes: z.number().int().min(0),
  sha256: SHA256,
  recorded_at: TIME,
  /** SHA-256 of the line before; of the first, NOTHING_BEFORE. */
  previous: SHA256,
});
export type ManifestEntry = z.infer<typeof ENTRY>;

/** What every file of a bundle says of itself. */
export const HEADER = z.strictObject({
  /** The release that was tried. */
  release: z.string().regex(/^v\d+\.\d+\.\d+(?:[-+][A-Za-z0-9.+-]+)?$/),
  /** `local-demo`: on one machine, with load of its own. */
  mode: z.enum(["live", "local-demo"]),
  /** How many seconds of the plan pass in one real second; 1: none is made up. */
  time_scale: z.number().min(1),
});
export type BundleHeader = z.infer<typeof HEADER>;

export const OUTCOMES = ["promoted", "rolled_back", "inconclusive"] as const;
export type Outcome = (typeof OUTCOMES)[number];

const FACTS = z.strictObject({
  ...HEADER.shape,
  outcome: z.enum(OUTCOMES),
  started_at: TIME,
  ended_at: TIME,
  entries: z.number().int().min(1),
  /** SHA-256 of the manifest's last line, and through it of all before. */
  head: SHA256,
});
/** What is signed of a bundle. */
export type BundleFacts = z.infer<typeof FACTS>;

export const NOTHING_BEFORE = "0".repeat(64);

/** A line of the manifest, without its line feed. */
export function manifestLine(entry: ManifestEntry): string {
  const { n, file, bytes, sha256: hash, recorded_at, previous } = entry;
  return JSON.stringify({ n, file, bytes, sha256: hash, recorded_at, previous });
}

/** Entries of which each follows the one before. */
export class Chain {
  readonly #entries: ManifestEntry[] = [];
  readonly #files = new Set<string>();
  #head = NOTHING_BEFORE;

  /** @throws EvidenceError for a manifest with a line that cannot be added, or none */
  static parse(text: string): Chain {
    const lines = text.split("\n");
    if (lines.pop() !== "" || lines.length === 0) throw new EvidenceError(`${MANIFEST_FILE} does not end with a whole line`);
    const chain = new Chain();
    for (const line of lines) chain.add(line);
    return chain;
  }

  get entries(): readonly ManifestEntry[] {
    return this.#entries;
  }

  /** SHA-256 of the last line, or NOTHING_BEFORE. */
  get head(): string {
    return this.#head;
  }

  /** @throws EvidenceError for a line that is not as `manifestLine` writes it, out of its place, of a file named before or earlier than the line before */
  add(line: string): void {
    const n = this.#entries.length + 1;
    const entry = parseLine(line, n);
    if (entry.n !== n) throw new EvidenceError(`${MANIFEST_FILE} line ${n} is number ${entry.n}`);
    if (entry.previous !== this.#head) throw new EvidenceError(`${MANIFEST_FILE} line ${n} does not follow the line before`);
    if (this.#files.has(entry.file)) throw new EvidenceError(`${MANIFEST_FILE} names ${entry.file} twice`);
    const before = this.#entries.at(-1);
    if (before !== undefined && entry.recorded_at < before.recorded_at) throw new EvidenceError(`${MANIFEST_FILE} line ${n} is earlier than the line before`);
    this.#files.add(entry.file);
    this.#entries.push(entry);
    this.#head = sha256(line);
  }
}

function parseLine(line: string, number: number): ManifestEntry {
  const parsed = ENTRY.safeParse(jsonIn(line));
  if (!parsed.success || manifestLine(parsed.data) !== line) throw new EvidenceError(`${MANIFEST_FILE} line ${number} is no entry`);
  return parsed.data;
}

/** @throws EvidenceError for anything but the facts of a bundle, written once */
export function parseFacts(payload: Buffer): BundleFacts {
  const parsed = FACTS.safeParse(jsonIn(payload.toString()));
  if (!parsed.success) throw new EvidenceError("what is signed are not the facts of a bundle");
  return parsed.data;
}
