import { readFileSync } from "node:fs";
import { StartupError, toAppError, UnavailableError } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";
import { z } from "zod";

/** What an operator can switch off without a deployment. */
export const FLAGS = ["search", "writes", "rerank"] as const;
export type Flag = (typeof FLAGS)[number];

/** A small file is read that often. Watching it instead would miss what a mounted configuration does: a link that moves. */
const RELOAD_INTERVAL_MS = 1_000;
/** What a caller waits before it asks again for what is switched off. */
const RETRY_AFTER_S = 10;

const WORDS: Readonly<Record<Flag, string>> = { search: "searching is", writes: "writing is", rerank: "reranking is" };

const isOn = z.boolean().default(true);
/** An unknown name is a fault: a misspelt one would switch nothing off. */
const flagsSchema = z.strictObject({ search: isOn, writes: isOn, rerank: isOn } satisfies Record<Flag, typeof isOn>);
type Values = Readonly<Record<Flag, boolean>>;

/** What is switched on, as a JSON file says that is read each second. One that cannot be used leaves what was there before. */
export class Flags {
  readonly #timer: NodeJS.Timeout | undefined;
  /** What was read last, or the fault that was met: the same again is no news. */
  #seen: string;

  private constructor(file: string | undefined, private readonly log: Logger, text: string, private values: Values) {
    this.#seen = text;
    if (file !== undefined) this.#timer = setInterval(() => { this.#reload(file); }, RELOAD_INTERVAL_MS).unref();
  }

  /** file: `{"search": true, "writes": true, "rerank": false}`, where what is absent is on. Without one all are. @throws StartupError when it cannot be used */
  static open(file: string | undefined, log: Logger): Flags {
    if (file === undefined) return new Flags(file, log, "", flagsSchema.parse({}));
    const text = read(file);
    return new Flags(file, log, text, parse(file, text));
  }

  isOn(flag: Flag): boolean {
    return this.values[flag];
  }

  /** @throws UnavailableError */
  require(flag: Flag): void {
    if (!this.values[flag]) throw new UnavailableError(`${WORDS[flag]} switched off here for now; try again later`, { retryAfterS: RETRY_AFTER_S });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #reload(file: string): void {
    let text: string | undefined;
    try {
      text = read(file);
      if (text === this.#seen) return;
      this.values = parse(file, text);
      this.log.info("flags changed", { off: FLAGS.filter((flag) => !this.values[flag]).join(",") || "none" });
    } catch (error) {
      const reason = toAppError(error).message;
      text ??= reason;
      // Each fault is said once.
      if (text !== this.#seen) this.log.error("flags not usable", { reason });
    }
    this.#seen = text;
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new StartupError(`flags file ${file} cannot be read`, { cause });
  }
}

function parse(file: string, text: string): Values {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new StartupError(`flags file ${file} is not JSON`);
  }
  const parsed = flagsSchema.safeParse(json);
  if (!parsed.success) throw new StartupError(`flags file ${file} must be an object of ${FLAGS.join(", ")}, each true or false, and nothing else`);
  return parsed.data;
}
