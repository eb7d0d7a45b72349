import { AppError } from "@memseal/errors";

/** Everything a log line may hold. No field takes text, metadata, vectors, user ids or keys: there is none for them. */
export interface LogFields {
  requestId?: string;
  method?: string;
  code?: string;
  status?: number;
  durationMs?: number;
  count?: number;
  /** Host and port, or socket path, that a process listens on. */
  address?: string;
  model?: string;
  provider?: string;
  reason?: string;
  exitCode?: number;
  child?: string;
  schema?: number;
  error?: unknown;
}

export type LogLevel = "info" | "warn" | "error";

/** Where lines go: one JSON object each. */
export type LogSink = (line: string) => void;

/** A JSON logger that redacts by construction: it prints the fields it knows, and of an error no message it did not write. */
export class Logger {
  constructor(
    private readonly service: string,
    private readonly sink: LogSink = (line) => process.stderr.write(`${line}\n`),
  ) {}

  info(event: string, fields: LogFields = {}): void {
    this.#write("info", event, fields);
  }

  warn(event: string, fields: LogFields = {}): void {
    this.#write("warn", event, fields);
  }

  error(event: string, fields: LogFields = {}): void {
    this.#write("error", event, fields);
  }

  #write(level: LogLevel, event: string, { error, ...fields }: LogFields): void {
    const line = { time: new Date().toISOString(), level, service: this.service, event, ...fields };
    this.sink(JSON.stringify(error === undefined ? line : { ...line, error: describeError(error) }));
  }
}

/**
 * Class, code and place of an error and its causes. Messages of drivers and libraries can quote rows and
 * parameters, so only an AppError's own message is kept.
 */
function describeError(error: unknown): object {
  if (!(error instanceof Error)) return { name: typeof error };
  const { code } = error as { code?: unknown };
  return {
    name: error.name,
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    ...(error instanceof AppError ? { message: error.message } : {}),
    at: error.stack?.split("\n").filter((line) => line.trimStart().startsWith("at ")).slice(0, 6).map((line) => line.trim()),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}
