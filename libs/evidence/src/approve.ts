import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { keyIdOf } from "./dsse.js";
import { EvidenceError } from "./evidence-error.js";
import { keepsLimit, passes, type Figure } from "./figure.js";
import type { Findings } from "./findings.js";
import { thisMachine } from "./machine.js";
import { assertUnwritten, writeReport } from "./report.js";

/** What one kind of approval measures. */
export interface Measured {
  readonly settings: readonly string[];
  readonly figures: readonly Figure[];
  readonly notYet?: readonly string[];
}

export interface ApprovalOptions extends Pick<Findings, "kind" | "version" | "commit"> {
  /** Where reports are kept. */
  readonly dir: string;
  /** PEM of an Ed25519 private key; undefined: nothing is written. */
  readonly keyFile: string | undefined;
}

/**
 * Measures, prints every figure, and writes them down signed, whether they are good or not.
 * Returns whether it is approved: every limit kept, and signed.
 * @throws EvidenceError before anything is measured, where the report could not be written
 */
export async function approve({ dir, keyFile, ...of }: ApprovalOptions, measure: () => Promise<Measured>): Promise<boolean> {
  const key = keyFile === undefined ? undefined : readKey(keyFile);
  if (key !== undefined) assertUnwritten(dir, of);
  const startedAt = new Date();
  const { settings, figures, notYet = [] } = await measure();
  for (const figure of figures) console.log(lineOf(figure));
  console.log(`${of.kind} approval of ${of.version} at ${of.commit.slice(0, 12)}: ${passes(figures) ? "passed" : "FAILED"}`);
  if (key === undefined) {
    console.error("not approved: nothing is written without a key. MEMSEAL_CANARY_SIGNING_KEY_FILE must name an Ed25519 private key in PEM");
    return false;
  }
  const findings: Findings = { ...of, machine: thisMachine(), started_at: startedAt.toISOString(), ended_at: new Date().toISOString(), settings: [...settings], figures: [...figures], not_yet: [...notYet] };
  console.log(`written to ${relative(process.cwd(), writeReport(dir, findings, key))}, signed by the key ${keyIdOf(createPublicKey(key))}`);
  return passes(figures);
}

function readKey(file: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(file));
  } catch (error) {
    throw new EvidenceError("MEMSEAL_CANARY_SIGNING_KEY_FILE names no private key in PEM", { cause: error });
  }
}

function lineOf(figure: Figure): string {
  const { what, value, unit, limit, note } = figure;
  const bound = limit === undefined ? "" : ` (${limit.is} ${limit.value})`;
  return `${keepsLimit(figure) ? "" : "FAILED "}${what}: ${value === null ? "not measured" : Number(value.toPrecision(6))} ${unit}${bound}${note === undefined ? "" : `; ${note}`}`;
}
