import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { AppError } from "@memseal/errors";
import { z } from "zod";

/** What a command that can be interrupted remembers beside its file: written whole or not at all, for its owner alone. */
export class StateFile<T extends z.ZodType> {
  constructor(
    readonly path: string,
    private readonly schema: T,
  ) {}

  /** undefined where there is none. @throws AppError for a file that is not one of ours, or cannot be read */
  load(): z.infer<T> | undefined {
    if (!existsSync(this.path)) return undefined;
    let text: string;
    try {
      text = readFileSync(this.path, "utf8");
    } catch (cause) {
      throw new AppError("failed_precondition", `${this.path} cannot be read: it is to be the file that says how far the work has come`, { cause });
    }
    try {
      return this.schema.parse(JSON.parse(text));
    } catch (cause) {
      throw new AppError("failed_precondition", `${this.path} does not say how far the work had come: remove it to begin anew`, { cause });
    }
  }

  /** @throws AppError where it cannot be written */
  save(state: z.infer<T>): void {
    try {
      this.#write(`${JSON.stringify(state)}\n`);
    } catch (cause) {
      throw notWritten(this.path, cause);
    }
  }

  #write(text: string): void {
    const partial = `${this.path}.partial`;
    const fd = openSync(partial, "w", 0o600);
    try {
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(partial, this.path);
  }
}

/** Of a file of ours: its folder is not there, is not this user's to write, or is full. */
export function notWritten(path: string, cause: unknown): AppError {
  const { code = "unknown" } = cause as NodeJS.ErrnoException;
  return new AppError("failed_precondition", `${path} cannot be written (${code}): choose a folder that is there, has room, and that this user may write to`, { cause });
}
