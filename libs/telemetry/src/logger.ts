import { AppError } from "@memseal/errors";
import { checkedFields, LOG_EVENTS, REDACTED, type FieldsOf, type LogEvent } from "./log-events.js";

export type LogLevel = "info" | "warn" | "error";

/** Where lines go: one JSON object each. */
export type LogSink = (line: string) => void;

/**
 * A JSON logger that redacts by construction: it takes the events of one table with their fields, prints a field only in
 * the form that field has, and of an error no message that is not our own.
 */
export class Logger {
  constructor(
    private readonly service: string,
    private readonly sink: LogSink = (line) => process.stderr.write(`${line}\n`),
  ) {}

  info<Event extends LogEvent>(event: Event, fields: FieldsOf<Event>): void {
    this.#write("info", event, fields);
  }

  warn<Event extends LogEvent>(event: Event, fields: FieldsOf<Event>): void {
    this.#write("warn", event, fields);
  }

  error<Event extends LogEvent>(event: Event, fields: FieldsOf<Event>): void {
    this.#write("error", event, fields);
  }

  #write(level: LogLevel, event: LogEvent, fields: Readonly<Record<string, unknown>>): void {
    const isKnown = Object.hasOwn(LOG_EVENTS, event);
    const line = { time: new Date().toISOString(), level, service: this.service, event: isKnown ? event : REDACTED };
    const { error } = fields;
    this.sink(JSON.stringify({
      ...line,
      ...(isKnown ? checkedFields(event, fields) : {}),
      ...(error === undefined ? {} : { error: describeError(error) }),
    }));
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
