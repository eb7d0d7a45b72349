import { cpus, platform, release, totalmem } from "node:os";
import type { Findings } from "./findings.js";

/** Where a report is made. */
export function thisMachine(): Findings["machine"] {
  return {
    cpus: `${cpus().length} x ${cpus()[0]?.model ?? "unknown CPU"}`,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    os: `${platform()} ${release()}`,
    node: process.versions.node,
    openssl: process.versions.openssl,
  };
}
