import { spawn, type ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export { createTestAuthority, type TestAuthority, type TestCertificate } from "./test-certificates.js";

/** What an app is started with: as it is built here, or as it is packed below the folder that MEMSEAL_E2E_APPS_DIR names. */
export function appScript(app: "gateway" | "indexer" | "reranker" | "cli"): string {
  return join(process.env["MEMSEAL_E2E_APPS_DIR"] ?? fileURLToPath(new URL("../../../apps", import.meta.url)), app, "dist/main.js");
}

/** A built service running as a process of its own. */
export interface ServiceProcess {
  readonly pid: number;
  /** Every line it wrote so far, on either stream. */
  readonly lines: readonly string[];
  /** Resolves with the exit code, or null after a signal. */
  readonly exited: Promise<number | null>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

export interface StartOptions {
  args?: readonly string[];
  /** What the line holds that says it is ready; of a process with children of its own, more than the default. */
  readyLine?: string;
}

/**
 * Starts `node <script>` and waits for its ready line. Only PATH, HOME and TMPDIR of the caller's environment reach it.
 * @throws Error with its output when it exits first
 */
export async function startProcess(script: string, env: Record<string, string>, { args = [], readyLine = '"event":"ready"' }: StartOptions = {}): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...inherited(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const service = track(child);
  const ready = new Promise<void>((resolve) => {
    onLine(child, (line) => { if (line.includes(readyLine)) resolve(); });
  });
  await Promise.race([
    ready,
    service.exited.then((code) => { throw new Error(`${script} exited with ${code} before it was ready:\n${service.lines.join("\n")}`); }),
  ]);
  return service;
}

/** Runs `node <script>` to its end. */
export async function runToExit(script: string, env: Record<string, string>, args: readonly string[] = []): Promise<{ code: number | null; lines: readonly string[] }> {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...inherited(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const service = track(child);
  return { code: await service.exited, lines: service.lines };
}

function inherited(): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }) };
}

function track(child: ChildProcess): ServiceProcess {
  const lines: string[] = [];
  onLine(child, (line) => lines.push(line));
  // "close" rather than "exit": its output has been read to the end.
  const exited = new Promise<number | null>((resolve) => child.once("close", (code) => { resolve(code); }));
  return {
    pid: child.pid ?? 0,
    lines,
    exited,
    async kill(signal) {
      child.kill(signal);
      await exited;
    },
  };
}

function onLine(child: ChildProcess, use: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on("line", use);
  }
}

/** Those that this process was given: two that are asked for at once must differ. */
const givenPorts = new Set<number>();

/**
 * A loopback TCP port that was free a moment ago, and below those that Linux gives to whoever connects (32,768 and more),
 * which could take it before it is used.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(10_000, 32_768);
  if (givenPorts.has(port) || !(await isFree(port))) return freePort();
  givenPorts.add(port);
  return port;
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => { resolve(false); });
    server.listen(port, "127.0.0.1", () => server.close(() => { resolve(true); }));
  });
}
