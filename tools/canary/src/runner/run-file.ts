import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { HEADER, OUTCOMES } from "../bundle/manifest.js";
import { jsonIn } from "../json.js";

const RUN_FILE = z.strictObject({
  ...HEADER.shape,
  /** Of the runner. */
  pid: z.number().int(),
  at: z.iso.datetime(),
  state: z.enum(["preflight", "watching", "ended", "refused"]),
  step_percent: z.number(),
  step_started_at: z.string(),
  verdict: z.string(),
  held: z.array(z.string()).readonly(),
  outcome: z.enum(OUTCOMES).nullable(),
});
/** Where a run is, for `status` and `abort`. It is no evidence, and lies beside it. */
export type RunFile = z.infer<typeof RUN_FILE>;

const pathOf = (evidenceDir: string) => `${evidenceDir.replace(/\/+$/, "")}.run.json`;

export function writeRunFile(evidenceDir: string, content: RunFile): void {
  const path = pathOf(evidenceDir);
  writeFileSync(`${path}.new`, `${JSON.stringify(content, undefined, 2)}\n`);
  renameSync(`${path}.new`, path);
}

/** Undefined where no run was begun. */
export function readRunFile(evidenceDir: string): RunFile | undefined {
  try {
    return RUN_FILE.safeParse(jsonIn(readFileSync(pathOf(evidenceDir), "utf8"))).data;
  } catch {
    return undefined;
  }
}

/** Whether the runner that wrote it is still there. */
export function isRunning({ pid, state }: RunFile): boolean {
  if (state === "ended" || state === "refused") return false;
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
