import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync, readdirSync, realpathSync, rmdirSync, rmSync } from "node:fs";
import { createConnection, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StartupError } from "@memseal/errors";

/** A Unix socket's path has at most 107 bytes on Linux and 103 on macOS. */
const MAX_SOCKET_PATH = 103;
const LONGEST_SOCKET_NAME = "/reranker.sock";
const LOCK = "lock.sock";
/** An owner that is busy starting answers late; that it took the connection is enough. */
const PID_WITHIN_MS = 2_000;

/**
 * Where one run of the installation keeps its sockets and the keys of that run, held by one process at a time.
 *
 * The lock is a socket that listens: the kernel closes it with its process, however that ends, and it is seen from
 * other containers that share the home, where process numbers mean nothing.
 */
export class RunDir {
  private constructor(
    readonly path: string,
    private readonly lock: Server,
  ) {}

  /** @throws StartupError when another process runs on this home */
  static async claim(home: string): Promise<RunDir> {
    const path = runDirOf(home);
    const socket = join(path, LOCK);
    let lock = await listen(socket);
    if (lock === undefined) {
      await assertDead(socket, home);
      rmSync(socket, { force: true });
      lock = await listen(socket);
    }
    if (lock === undefined) throw alreadyRunning(home, undefined);
    return new RunDir(path, lock);
  }

  /** Removes what is in it, and lets the next one have it. */
  async stop(): Promise<void> {
    for (const name of readdirSync(this.path)) if (name !== LOCK) rmSync(join(this.path, name), { recursive: true, force: true });
    await new Promise((resolve) => this.lock.close(resolve));
    try {
      rmdirSync(this.path);
    } catch {
      // The next one has it already.
    }
  }
}

/** A directory for this user alone, also where it was there with a wider mode. */
export function ensurePrivateDir(dir: string): string {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const real = realpathSync(dir);
  if (lstatSync(real).uid === process.getuid?.()) chmodSync(real, 0o700);
  return dir;
}

/** In the home, or in the directory for temporary files where the home's path is too long for a socket. */
function runDirOf(home: string): string {
  const inHome = join(home, "run");
  if (Buffer.byteLength(inHome + LONGEST_SOCKET_NAME) <= MAX_SOCKET_PATH) return ensurePrivateDir(inHome);
  // One name for one home, so that two starts meet.
  const dir = join(tmpdir(), `memseal-run-${createHash("sha256").update(realpathSync(home)).digest("hex").slice(0, 16)}`);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const found = lstatSync(dir);
  // Anybody can make it first, there.
  if (!found.isDirectory() || found.uid !== process.getuid?.()) throw new StartupError(`${dir} is not this user's own: remove it, or choose a MEMSEAL_HOME with a shorter path`);
  return ensurePrivateDir(dir);
}

/** Undefined when something is bound there, dead or alive. */
function listen(socket: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => {
      connection.on("error", () => undefined);
      connection.end(String(process.pid));
    });
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(socket, () => { resolve(server); });
  });
}

/** @throws StartupError when a process listens there */
function assertDead(socket: string, home: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let pid = "";
    const connection = createConnection(socket);
    const refuse = () => {
      connection.destroy();
      reject(alreadyRunning(home, pid));
    };
    connection.setTimeout(PID_WITHIN_MS, refuse).setEncoding("utf8");
    connection.on("data", (text: string) => { pid += text; });
    connection.once("end", refuse);
    connection.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve();
      else refuse();
    });
  });
}

function alreadyRunning(home: string, pid: string | undefined): StartupError {
  return new StartupError(`Memseal is already running on ${home}${pid ? `, pid ${pid}` : ""}: stop it first, or choose another MEMSEAL_HOME`);
}
