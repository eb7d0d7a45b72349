import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { AppError } from "@memseal/errors";
import { z } from "zod";

/** What a command that can be interrupted remembers beside its file: written whole or not at all, for its owner alone. */
export class StateFile<T extends z.ZodType> {
  constructor(
    readonly path: string,
    private readonly schema: T,
  ) {}

  /** undefined where there is none. @throws AppError for a file that is not one of ours */
  load(): z.infer<T> | undefined {
    if (!existsSync(this.path)) return undefined;
    try {
      return this.schema.parse(JSON.parse(readFileSync(this.path, "utf8")));
    } catch (cause) {
      throw new AppError("failed_precondition", `${this.path} does not say how far the work had come: remove it to begin anew`, { cause });
    }
  }

  save(state: z.infer<T>): void {
    const partial = `${this.path}.partial`;
    const fd = openSync(partial, "w", 0o600);
    try {
      writeFileSync(fd, `${JSON.stringify(state)}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(partial, this.path);
  }
}
