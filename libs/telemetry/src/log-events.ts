/** What a field may hold, and the form of it that is checked when it is written: what has another form is redacted. */
const NAME = /^[\w.:/@-]{1,128}$/;
/** A path may have any letters; nothing that moves a terminal's cursor. */
const PLACE = /^\P{C}{1,4096}$/u;
/** A line for each fault, where there are several; paths among them. */
const OWN_WORDS = /^(?:\P{C}|\n){1,8000}$/u;
const isNumber = (value: unknown) => typeof value === "number" && Number.isFinite(value);
const isForm = (form: RegExp) => (value: unknown) => typeof value === "string" && form.test(value);

/** Every field of every line. None takes text, metadata, vectors, user ids or keys: there is no field for them. */
const FIELDS = {
  requestId: isForm(/^[A-Za-z0-9._-]{1,64}$/),
  /** Of ours, such as `search` or `memseal.indexer.v1.IndexerService/Put`. */
  method: isForm(NAME),
  /** Of an answer or an error: `ok`, `not_found`. */
  code: isForm(/^[a-z_]{1,32}$/),
  durationMs: isNumber,
  count: isNumber,
  exitCode: (value: unknown) => value === null || isNumber(value),
  /** Host and port, or socket path, that a process listens on. */
  address: isForm(PLACE),
  model: isForm(NAME),
  provider: isForm(NAME),
  /** Sentences of our own, or a signal. */
  reason: isForm(OWN_WORDS),
  child: isForm(/^[a-z-]{1,32}$/),
  /** Flags that are off, or `none`. */
  off: isForm(/^[a-z,]{1,64}$/),
  /** The public half of an API key. */
  keyId: isForm(/^[A-Za-z0-9]{12}$/),
} as const;

export interface LogFields {
  requestId?: string;
  method?: string;
  code?: string;
  durationMs?: number;
  count?: number;
  exitCode?: number | null;
  address?: string;
  model?: string;
  provider?: string;
  reason?: string;
  child?: string;
  off?: string;
  keyId?: string;
  /** Class, code and place are printed, and no message that is not our own. */
  error?: unknown;
}

export type LogField = keyof LogFields;

/** Every event, with the fields that its lines may have. */
export const LOG_EVENTS = {
  ready: ["address"],
  stopping: ["reason"],
  "stop failed": ["error"],
  "stop took too long": ["durationMs"],
  "stopped at once": ["reason"],
  "cannot start": ["reason", "error"],
  /** New connections have the new certificate. */
  "certificates reloaded": [],
  /** New connections have the old one still. */
  "certificates not usable": ["reason", "error"],
  /** What an operator switched; requests go by it from now on. */
  "flags changed": ["off"],
  /** Requests go by what was there before. */
  "flags not usable": ["reason"],
  /** A caller's request, answered by the gateway. */
  request: ["method", "code", "requestId", "durationMs"],
  /** A call between services, answered. */
  call: ["method", "code", "requestId", "durationMs"],
  /** What an operator must learn and the caller does not. */
  "request failed": ["code", "requestId", "error"],
  "sealed rows do not open": ["count"],
  "integrity failure not audited": ["error"],
  /** Somebody showed the right secret of a key whose row is not as it was written. */
  "api key refused": ["keyId", "reason"],
  /** Of those that there are at a start. */
  "api keys would be refused": ["count", "reason"],
  "maintenance failed": ["count", "error"],
  /** Texts leave this machine. */
  "texts are sent to an embedding endpoint": ["address", "model"],
  /** count: which attempt it was. */
  "embedding endpoint failed": ["reason", "count"],
  /** Their receiver does not take them; count: in the first batch that was lost. */
  "traces lost": ["count"],
  "traces sent again": [],
  "model loaded": ["model", "provider", "durationMs", "count"],
  "model worker lost": ["error"],
  "model worker ended": ["exitCode", "error"],
  "database connection lost": ["error"],
  "database ready": ["address", "durationMs"],
  "database exited": ["exitCode", "reason", "error"],
  "database is down for good": ["error"],
  "database log not shortened": ["error"],
  /** Of an interrupted start or an earlier release; the database runs. */
  "database leftover not removed": ["reason", "error"],
  "database folder placed elsewhere": ["address", "reason"],
  "database can outlive this process": ["reason"],
  "child ended, starting it again": ["child", "reason", "durationMs"],
  "child did not stop, killing it": ["child", "durationMs"],
} as const satisfies Record<string, readonly LogField[]>;

export type LogEvent = keyof typeof LOG_EVENTS;
export type FieldsOf<Event extends LogEvent> = Pick<LogFields, (typeof LOG_EVENTS)[Event][number]>;

export const REDACTED = "[redacted]";

/** The fields that an event may have, in the form they must have. What else was forced in is left out, and its name, too. */
export function checkedFields(event: LogEvent, fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const allowed: readonly string[] = LOG_EVENTS[event];
  return Object.fromEntries(Object.entries(FIELDS)
    .filter(([name]) => allowed.includes(name) && fields[name] !== undefined)
    .map(([name, isSound]) => [name, isSound(fields[name]) ? fields[name] : REDACTED]));
}
