import { chmod, chown, mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StartupError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";
import pg from "pg";
import { installBinaries, packageFolder, type PostgresBinaries } from "./postgres-binaries.js";
import { openCluster, STAGING_PREFIX } from "./postgres-cluster.js";
import { assertSocketFits, layoutOf, PORT, postgresArguments, restartDelayMs, STABLE_AFTER_MS, SUPERUSER, type PostgresLayout } from "./postgres-config.js";
import { openHome, type ServerUser } from "./postgres-home.js";
import { disownDeadLock, liveServer, readLock } from "./postgres-lock.js";
import { boundLog, LOG_CHECK_MS } from "./postgres-log.js";
import { ProgramRunner, type RunningProgram } from "./postgres-process.js";

/** Recovery after a crash replays at most max_wal_size (1 GB), which a slow disk does in minutes. */
const READY_WITHIN_MS = 300_000;
const POLL_MS = 10;

/** A fast shutdown writes a checkpoint. Past this the server is told to leave without one; its next start recovers. */
const FAST_SHUTDOWN_WITHIN_MS = 30_000;

/** How long to wait for a server that is stopping already, since its supervisor was killed. */
const STOPPING_WITHIN_MS = 30_000;

/** How long its supervisor may take to die of the signal that killed it, and the kernel to tell the server. */
const TOLD_WITHIN_MS = 2_000;

export interface EmbeddedPostgresOptions {
  /** Folder of this database alone; made when it is not there. As root it may become a symbolic link (see openHome). */
  dataDir: string;
  log: Logger;
}

/**
 * A real PostgreSQL under our supervision, on a Unix socket only.
 *
 * In `dataDir`: `binaries/<version>/` (a copy of the npm package's), `data/` (PGDATA), `socket/` (0700),
 * `postgres.log` and what was before it in `postgres.log.1`, `superuser.password` (0600). It is started again when it exits unexpectedly. On Linux it stops
 * when the thread that called `start` ends, so call it on the main thread.
 */
export class EmbeddedPostgres {
  readonly port = PORT;
  readonly #stopping = new AbortController();
  readonly #layout: PostgresLayout;
  readonly #password: string;
  #server: RunningProgram | undefined;
  #supervision: Promise<void> = Promise.resolve();
  #logWatch: NodeJS.Timeout | undefined;

  private constructor(
    private readonly binaries: PostgresBinaries,
    private readonly runner: ProgramRunner,
    private readonly log: Logger,
    { layout, password }: { layout: PostgresLayout; password: string },
  ) {
    this.#layout = layout;
    this.#password = password;
  }

  /**
   * Starts the server, with a new cluster the first time, and answers once it takes connections.
   * @throws StartupError when the folder is in use or cannot be used, or the server does not start.
   */
  static async start({ dataDir, log }: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
    const startedAt = performance.now();
    const packageDir = packageFolder(process.platform, process.arch);
    const home = await openHome(dataDir, log);
    const layout = layoutOf(home.folder);
    assertSocketFits(layout.socket, process.platform);
    await assertFree(layout);

    let postgres: EmbeddedPostgres;
    try {
      const [binaries, runner] = await Promise.all([installBinaries(packageDir, layout.binaries), ProgramRunner.create(home, layout.log)]);
      if (!runner.diesWithParent) {
        log.warn("database can outlive this process", { reason: "there is no setpriv here to tie the two: after a kill -9, stop it by hand" });
      }
      const password = await openCluster({ layout, binaries, runner, user: home.user });
      await makeSocketFolder(layout.socket, home.user);
      postgres = new EmbeddedPostgres(binaries, runner, log, { layout, password });
      await postgres.#open();
    } catch (error) {
      // Of two starts at once one loses, at any of these steps: then this is what there is to say.
      await assertFree(layout);
      if (error instanceof StartupError) throw error;
      throw new StartupError(`the embedded database in ${home.folder} could not be started (${(error as NodeJS.ErrnoException).code ?? (error as Error).name})`, { cause: error });
    }
    log.info("database ready", { address: postgres.socketDir, durationMs: Math.round(performance.now() - startedAt) });
    return postgres;
  }

  /** Unix socket folder, for the connections of other roles. */
  get socketDir(): string {
    return this.#layout.socket;
  }

  /** Process of the running server; undefined while there is none. */
  get pid(): number | undefined {
    return this.#server?.exit === undefined ? this.#server?.pid : undefined;
  }

  /** Connection settings of the bootstrap superuser, for provisioning and tests only. */
  superuser(database = "postgres"): pg.ClientConfig {
    // A function, so that printed settings hold no password.
    return { host: this.socketDir, port: this.port, user: SUPERUSER, database, password: () => this.#password };
  }

  /** Stops the server for good: open transactions roll back, and what was committed is on disk. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const server = this.#server;
    server?.kill("SIGINT");
    const impatience = setTimeout(() => server?.kill("SIGQUIT"), FAST_SHUTDOWN_WITHIN_MS);
    await server?.exited;
    clearTimeout(impatience);
    await this.#supervision;
    clearInterval(this.#logWatch);
  }

  async #open(): Promise<void> {
    const server = this.#launch();
    try {
      await this.#answers(server);
      await this.#removeLeftovers();
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#supervision = this.#supervise(server).catch((error: unknown) => {
      this.log.error("database is down for good", { error });
    });
    this.#watchLog();
  }

  /** What interrupted starts and earlier releases left. What cannot be removed stays, with a warning: the database runs all the same. */
  async #removeLeftovers(): Promise<void> {
    const { data, binaries } = this.#layout;
    const folder = dirname(data);
    const leftovers = [
      ...(await readdir(folder)).filter((name) => name.startsWith(STAGING_PREFIX)).map((name) => join(folder, name)),
      ...(await readdir(binaries)).filter((name) => name !== this.binaries.version).map((name) => join(binaries, name)),
    ];
    await Promise.all(leftovers.map((path) => rm(path, { recursive: true, force: true }).catch((error: unknown) => {
      // Also where a start that lost against this one still writes to it: that one removes it itself.
      this.log.warn("database leftover not removed", { reason: `remove ${path} if it is still there`, error });
    })));
  }

  #watchLog(): void {
    this.#logWatch = setInterval(() => {
      try {
        boundLog(this.#layout.log);
      } catch (error) {
        // A full disk, say: the server itself goes on as long as it can.
        this.log.warn("database log not shortened", { error });
      }
    }, LOG_CHECK_MS).unref();
  }

  /** In one piece, without awaiting: `stop` finds either no server or one that it can signal. */
  #launch(): RunningProgram {
    const { data, socket } = this.#layout;
    disownDeadLock(join(data, "postmaster.pid"), data);
    disownDeadLock(join(socket, `.s.PGSQL.${PORT}.lock`), data);
    this.#server = this.runner.run(this.binaries.postgres, postgresArguments(this.#layout));
    return this.#server;
  }

  async #answers(server: RunningProgram): Promise<void> {
    const giveUpAt = performance.now() + READY_WITHIN_MS;
    const reason = `the reason is at the end of ${this.#layout.log}`;
    while (!this.#isReady(server)) {
      if (server.exit !== undefined) throw new StartupError(`PostgreSQL did not start: ${reason}`, { cause: server.exit.error });
      if (performance.now() > giveUpAt) throw new StartupError(`PostgreSQL was not ready within ${READY_WITHIN_MS / 1000} s: ${reason}`);
      await sleep(POLL_MS);
    }
    const client = new pg.Client(this.superuser());
    // A server that stops between two messages is an error of `connect` below, or of no interest.
    client.on("error", () => undefined);
    try {
      await client.connect();
    } catch (cause) {
      throw new StartupError(`PostgreSQL refused its superuser: the password in ${this.#layout.passwordFile} must be the one the cluster was made with`, { cause });
    } finally {
      await client.end();
    }
  }

  /** By its own word and number: a connection alone could reach the server of another supervisor. */
  #isReady(server: RunningProgram): boolean {
    const lock = readLock(join(this.#layout.data, "postmaster.pid"));
    return lock !== undefined && lock.pid === server.pid && lock.state === "ready";
  }

  async #supervise(first: RunningProgram): Promise<void> {
    let server = first;
    let quickFailures = 0;
    for (;;) {
      const launchedAt = performance.now();
      const { exitCode, signal, error } = await server.exited;
      if (this.#stopping.signal.aborted) return;
      this.log.error("database exited", { exitCode, reason: signal, error });
      quickFailures = performance.now() - launchedAt < STABLE_AFTER_MS ? quickFailures + 1 : 0;
      const delayMs = restartDelayMs(quickFailures);
      if (delayMs === undefined) {
        throw new StartupError(`PostgreSQL exited ${quickFailures} times in a row: the reason is at the end of ${this.#layout.log}; mend it and start again`);
      }
      await sleep(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      if (this.#stopping.signal.aborted) return;
      server = this.#launch();
    }
  }
}

/**
 * Refuses a folder that a server runs on; waits for one that is stopping, or is about to: its supervisor was killed a moment ago.
 * @throws StartupError
 */
async function assertFree({ data }: PostgresLayout): Promise<void> {
  const begunAt = performance.now();
  for (let lock = liveServer(data); lock !== undefined; lock = liveServer(data)) {
    if (performance.now() - begunAt > (lock.state === "stopping" ? STOPPING_WITHIN_MS : TOLD_WITHIN_MS)) {
      throw new StartupError(`the database in ${dirname(data)} is already running, pid ${lock.pid}: stop the Memseal that started it, or the process itself with kill -INT ${lock.pid}`);
    }
    await sleep(POLL_MS);
  }
}

async function makeSocketFolder(socket: string, user: ServerUser | undefined): Promise<void> {
  await mkdir(socket, { recursive: true });
  await chmod(socket, 0o700);
  if (user !== undefined) await chown(socket, user.uid, user.gid);
}
