import { spawn, type ChildProcess } from "node:child_process";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { StartupError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";

const FIRST_RESTART_MS = 500;
const SLOWEST_RESTART_MS = 10_000;
/** A child that ran this long has recovered: its next restart is quick again. */
const HEALTHY_MS = 30_000;
/** A little longer than a service gives itself. */
const STOP_WITHIN_MS = 12_000;

export interface ServiceSpec {
  name: string;
  /** The built main.js. */
  script: string;
  env: Readonly<Record<string, string>>;
  /** Unix sockets it listens on: removed before each start, since a killed process leaves its own behind. */
  sockets?: readonly string[];
}

/** One service as a child process, started again whenever it ends by itself once it was ready. */
export class ServiceProcess {
  #child: ChildProcess | undefined;
  #wasReady = false;
  #stopping = false;
  #restartMs = FIRST_RESTART_MS;

  constructor(
    private readonly spec: ServiceSpec,
    private readonly log: Logger,
  ) {}

  /** Resolves when the service is ready. @throws StartupError when it ends first */
  async start(): Promise<void> {
    await this.#run();
  }

  /** Asks it to finish what is in flight, and waits; ends it when that takes too long. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    const impatience = setTimeout(() => {
      this.log.warn("child did not stop, killing it", { child: this.spec.name, durationMs: STOP_WITHIN_MS });
      child.kill("SIGKILL");
    }, STOP_WITHIN_MS);
    await exited;
    clearTimeout(impatience);
  }

  #run(): Promise<void> {
    const { name, script, env, sockets = [] } = this.spec;
    for (const socket of sockets) rmSync(socket, { force: true });
    const child = spawn(process.execPath, [script], {
      env: { ...inherited(process.env), ...env },
      // The channel tells it when this process is gone. A group of its own: Ctrl-C reaches this process alone,
      // which then stops its children in order.
      stdio: ["ignore", "inherit", "pipe", "ipc"],
      detached: true,
    });
    this.#child = child;
    const startedAt = Date.now();
    return new Promise((resolve, reject) => {
      let why = "it said nothing";
      if (child.stderr) {
        createInterface({ input: child.stderr }).on("line", (line) => {
          process.stderr.write(`${line}\n`);
          const { event, reason } = eventOf(line);
          if (event === "ready") {
            this.#wasReady = true;
            resolve();
          }
          if (event === "cannot start" && reason !== undefined) why = reason;
        });
      }
      child.once("error", reject);
      // "close" rather than "exit": by then its last line has been read.
      child.once("close", (exitCode, signal) => {
        reject(new StartupError(`the ${name} did not start: ${why}`));
        if (this.#wasReady && !this.#stopping) this.#restartLater(startedAt, { exitCode, signal });
      });
    });
  }

  #restartLater(startedAt: number, { exitCode, signal }: { exitCode: number | null; signal: string | null }): void {
    if (Date.now() - startedAt > HEALTHY_MS) this.#restartMs = FIRST_RESTART_MS;
    const waitMs = this.#restartMs;
    this.#restartMs = Math.min(2 * waitMs, SLOWEST_RESTART_MS);
    this.log.warn("child ended, starting it again", { child: this.spec.name, reason: signal ?? `exit code ${exitCode}`, durationMs: waitMs });
    void delay(waitMs).then(() => {
      // A start that fails comes back here by itself.
      if (!this.#stopping) this.#run().catch(() => undefined);
    });
  }
}

/** This process's variables without its database connections: each service gets those of its own role alone. */
function inherited(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("DATABASE_")));
}

/** The event of a JSON log line; nothing of any other line. */
function eventOf(line: string): { event?: unknown; reason?: string } {
  try {
    return JSON.parse(line) as { event?: unknown; reason?: string };
  } catch {
    return {};
  }
}
