import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { stringsOf } from "./heap-snapshot.js";

const PRELOADED = fileURLToPath(new URL("heap-dump.fixture.mjs", import.meta.url));
const WITHIN_MS = 110_000;

/** What one thread of a service held, its garbage collected. */
export interface HeapDump {
  /** Process and thread. */
  readonly thread: string;
  /** Every string, of its heap snapshot. */
  readonly strings: string;
  /** File of the bytes of every ArrayBuffer that JavaScript could reach, one after the other. */
  readonly buffersFile: string;
}

/** Has services write what they hold in memory. They do it in code that is loaded before theirs; the product has no part in it. */
export class HeapDumps {
  readonly #dir = mkdtempSync(join(tmpdir(), "memseal-dumps-"));

  /** The variables of a service that can be dumped by that name. control: a value for it to hold. */
  env(name: string, control: string): Record<string, string> {
    mkdirSync(this.#dirOf(name));
    return { NODE_OPTIONS: `--import ${PRELOADED}`, MEMSEAL_DUMP_DIR: this.#dirOf(name), MEMSEAL_CONTROL: control };
  }

  /** A dump of each thread of the service that runs under that name. @throws Error when one is not done in time */
  async take(name: string): Promise<HeapDump[]> {
    const threads = readdirSync(this.#dirOf(name)).filter((file) => file.endsWith(".thread")).map((file) => file.replace(/\.thread$/, "")).filter((thread) => isAlive(pidOf(thread)));
    for (const pid of new Set(threads.map(pidOf))) process.kill(pid, "SIGUSR2");
    const path = (thread: string, kind: string) => join(this.#dirOf(name), `${thread}.${kind}`);
    const giveUpMs = Date.now() + WITHIN_MS;
    for (let missing = threads; missing.length > 0; missing = missing.filter((thread) => !existsSync(path(thread, "done")))) {
      if (Date.now() > giveUpMs) throw new Error(`${name}: no dump of ${missing.join(", ")}`);
      await delay(100);
    }
    return threads.map((thread) => ({ thread, strings: stringsOf(readFileSync(path(thread, "heapsnapshot"), "utf8")).join("\n"), buffersFile: path(thread, "buffers") }));
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true });
  }

  #dirOf(name: string): string {
    return join(this.#dir, name);
  }
}

function pidOf(thread: string): number {
  return Number(thread.split("-")[0]);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
