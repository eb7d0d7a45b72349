import { execFile, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { promisify } from "node:util";
import type { PostgresHome } from "./postgres-home.js";
import { openLog } from "./postgres-log.js";

const run = promisify(execFile);

/** All that PostgreSQL's programs see of our environment: it may hold secrets, and theirs is readable by their user. PATH leads to setpriv. */
const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" });

const DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "INT", "--"];

/** How a program ended. */
export interface Exit {
  readonly exitCode: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  /** Why it could not be started at all. */
  readonly error: Error | undefined;
}

export interface RunningProgram {
  readonly pid: number | undefined;
  /** Set once it ended. */
  readonly exit: Exit | undefined;
  readonly exited: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
}

/** Runs PostgreSQL's programs as the server's user, their output appended to the log. */
export class ProgramRunner {
  private constructor(
    private readonly home: PostgresHome,
    private readonly log: string,
    private readonly wrapper: readonly string[],
  ) {}

  static async create(home: PostgresHome, log: string): Promise<ProgramRunner> {
    return new ProgramRunner(home, log, (await canDieWithParent()) ? DIE_WITH_PARENT : []);
  }

  /** Whether the kernel stops the programs when this process dies, however it dies. */
  get diesWithParent(): boolean {
    return this.wrapper.length > 0;
  }

  run(program: string, programArguments: readonly string[]): RunningProgram {
    const [command = program, ...rest] = [...this.wrapper, program, ...programArguments];
    const log = openLog(this.log);
    const child = spawn(command, rest, {
      // Node changes the user before setpriv runs: the kernel forgets a death signal when credentials change after it.
      ...this.home.user,
      cwd: this.home.folder,
      env: environment(),
      stdio: ["ignore", log, log],
      // A session of its own: Ctrl-C in a terminal reaches us alone, and the database outlives the services' last writes.
      detached: true,
    });
    closeSync(log);
    let exit: Exit | undefined;
    const exited = new Promise<Exit>((resolve) => {
      const end = (how: Partial<Exit>): void => {
        exit = { exitCode: undefined, signal: undefined, error: undefined, ...how };
        resolve(exit);
      };
      child.once("error", (error) => { end({ error }); });
      child.once("exit", (code, signal) => { end({ exitCode: code ?? undefined, signal: signal ?? undefined }); });
    });
    return {
      pid: child.pid,
      get exit() { return exit; },
      exited,
      kill: (signal) => { child.kill(signal); },
    };
  }
}

async function canDieWithParent(): Promise<boolean> {
  // A call of the Linux kernel; setpriv is in util-linux, and busybox has one that cannot do this.
  if (process.platform !== "linux") return false;
  const [command = "", ...rest] = DIE_WITH_PARENT;
  return run(command, [...rest, "true"], { env: environment() }).then(() => true, () => false);
}
