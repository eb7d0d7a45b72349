import { parseArgs } from "node:util";
import { HEADER, type BundleHeader } from "../bundle/manifest.js";
import { UsageError } from "./command.js";

export interface RunOptions extends BundleHeader {
  readonly evidence: string;
  /** Requests a second of the release's own load. */
  readonly load: number;
}

/** Requests a second: enough for a decision within the first hour, and little beside what a service can do. */
const LOAD = 5;

/** Of `plan` and `run`. @throws UsageError */
export function parseRunOptions(args: readonly string[]): RunOptions {
  const values = parsed(args);
  const header = HEADER.safeParse({ release: values.release, mode: values.mode, time_scale: Number(values["time-scale"]) });
  if (!header.success) throw new UsageError(`not usable: ${header.error.issues.map(({ path }) => `--${path.join(".").replace("_", "-")}`).join(", ")}`);
  const load = Number(values.load);
  if (!(load > 0 && load <= 1_000)) throw new UsageError("--load is a number of requests a second, up to 1000");
  if (header.data.mode === "live" && header.data.time_scale !== 1) throw new UsageError("a live release takes the time it takes: --time-scale goes with --mode local-demo");
  return { ...header.data, load, evidence: values.evidence ?? `evidence-${header.data.release}` };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        release: { type: "string" },
        mode: { type: "string", default: "live" },
        "time-scale": { type: "string", default: "1" },
        evidence: { type: "string" },
        load: { type: "string", default: String(LOAD) },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}
