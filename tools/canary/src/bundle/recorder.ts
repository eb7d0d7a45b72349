import type { KeyObject } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { envelopeText, EvidenceError, sha256, signEnvelope } from "@memseal/evidence";
import { Chain, HEADER, MANIFEST_FILE, manifestLine, PAYLOAD_TYPE, SIGNATURE_FILE, type BundleFacts, type BundleHeader } from "./manifest.js";

/**
 * Writes the evidence of a release into a folder of its own, each artifact once and at once: what is recorded is on the disk, and its
 * place in the chain, before the call returns. Nothing is ever changed. A bundle counts once it is closed, which signs it.
 */
export class BundleRecorder {
  readonly #chain = new Chain();
  readonly #startedAt: string;
  #isClosed = false;

  private constructor(
    private readonly dir: string,
    readonly header: BundleHeader,
    private readonly now: () => Date,
  ) {
    this.#startedAt = now().toISOString();
  }

  /**
   * @param dir must not exist, or be empty
   * @param now the time; must not go back
   * @throws EvidenceError for a header that is none, or a folder that holds a bundle
   */
  static create(dir: string, header: BundleHeader, now: () => Date = () => new Date()): BundleRecorder {
    const parsed = HEADER.safeParse(header);
    if (!parsed.success) throw new EvidenceError(`no header of a bundle: ${parsed.error.issues.map(({ path }) => path.join(".")).join(", ")}`);
    mkdirSync(dir, { recursive: true });
    writeNew(join(dir, MANIFEST_FILE), "");
    return new BundleRecorder(dir, parsed.data, now);
  }

  /** Records `{header, ...body}`, indented, so that people can read it. */
  recordJson(file: string, body: Readonly<Record<string, unknown>>): void {
    this.#record(file, `${JSON.stringify({ header: this.header, ...body }, undefined, 2)}\n`);
  }

  /** Records a line of JSON for the header and one for each row. */
  recordRows(file: string, rows: Iterable<Readonly<Record<string, unknown>>>): void {
    const lines = [{ header: this.header }, ...rows].map((row) => JSON.stringify(row));
    this.#record(file, `${lines.join("\n")}\n`);
  }

  /** Records a document that holds what `headerText` makes of the header. @throws EvidenceError for one that does not */
  recordDocument(file: string, text: string): void {
    if (!text.includes(headerText(this.header))) throw new EvidenceError(`${file} does not say which release, mode and time scale it is of`);
    this.#record(file, text);
  }

  /** Signs what was recorded. Nothing can be added any more. key: a private Ed25519 key that no service can read. */
  close(outcome: BundleFacts["outcome"], key: KeyObject): BundleFacts {
    this.#assertOpen();
    const facts: BundleFacts = {
      ...this.header,
      outcome,
      started_at: this.#startedAt,
      ended_at: this.now().toISOString(),
      entries: this.#chain.entries.length,
      head: this.#chain.head,
    };
    if (facts.entries === 0) throw new EvidenceError("nothing was recorded");
    const envelope = signEnvelope(PAYLOAD_TYPE, Buffer.from(JSON.stringify(facts)), key);
    writeNew(join(this.dir, SIGNATURE_FILE), envelopeText(envelope));
    this.#isClosed = true;
    return facts;
  }

  #record(file: string, content: string): void {
    this.#assertOpen();
    const line = manifestLine({
      n: this.#chain.entries.length + 1,
      file,
      bytes: Buffer.byteLength(content),
      sha256: sha256(content),
      recorded_at: this.now().toISOString(),
      previous: this.#chain.head,
    });
    // First: what a reader would refuse is not written.
    this.#chain.add(line);
    const path = join(this.dir, file);
    mkdirSync(dirname(path), { recursive: true });
    writeNew(path, content);
    append(join(this.dir, MANIFEST_FILE), `${line}\n`);
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new EvidenceError("the bundle is closed");
  }
}

/** How a document says its header, in one line. */
export function headerText({ release, mode, time_scale }: BundleHeader): string {
  return `release ${release}, mode ${mode}, time scale ${time_scale}`;
}

/** @throws EvidenceError when there is such a file */
function writeNew(path: string, content: string): void {
  try {
    write(path, "wx", content);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    throw new EvidenceError(`${path} is there: evidence is never overwritten`, { cause: error });
  }
}

function append(path: string, content: string): void {
  write(path, "a", content);
}

function write(path: string, flags: "wx" | "a", content: string): void {
  const fd = openSync(path, flags, 0o644);
  try {
    writeFileSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
