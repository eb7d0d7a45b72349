/** The canonical gRPC codes this product answers with, in lower case. Source: google.rpc.Code. */
export type ErrorCode =
  | "invalid_argument"
  | "unauthenticated"
  | "permission_denied"
  | "not_found"
  | "already_exists"
  | "aborted"
  | "failed_precondition"
  | "resource_exhausted"
  | "unavailable"
  | "deadline_exceeded"
  | "cancelled"
  | "data_loss"
  | "unimplemented"
  | "internal";

/** Seconds to wait before what these refused is tried again, where the error itself knows no better. What others refused is refused again. */
const RETRY_AFTER_S: Partial<Readonly<Record<ErrorCode, number>>> = { resource_exhausted: 1, unavailable: 1, aborted: 1 };

export interface AppErrorOptions {
  /** Path of the offending field, such as `memories[3].text`. */
  field?: string;
  /** Seconds after which trying again makes sense; absent: as usual for the code. */
  retryAfterS?: number;
  /** For the log only; never sent to a caller. */
  cause?: unknown;
}

/** An error whose message is meant for the caller: it says what to do and holds no caller data. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  /** Seconds after which trying again makes sense; undefined where it makes none. Both transports say it. */
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.field = options.field;
    this.retryAfterS = options.retryAfterS ?? RETRY_AFTER_S[code];
  }
}

/** The request is wrong at `field`; sending it again unchanged cannot succeed. */
export class InvalidArgumentError extends AppError {
  constructor(field: string, problem: string) {
    super("invalid_argument", `${field}: ${problem}`, { field });
  }
}

export class UnauthenticatedError extends AppError {
  constructor(message = "send a valid API key as `Authorization: Bearer msk_...`") {
    super("unauthenticated", message);
  }
}

export class PermissionDeniedError extends AppError {
  constructor(message: string) {
    super("permission_denied", message);
  }
}

/** Absent and foreign ids give this same error. */
export class NotFoundError extends AppError {
  constructor(what: string) {
    super("not_found", `${what} not found`);
  }
}

/** A part this request needs cannot be reached; nothing was stored. */
export class UnavailableError extends AppError {
  constructor(message: string, options: Omit<AppErrorOptions, "field"> = {}) {
    super("unavailable", message, options);
  }
}

/** Work was refused at once rather than queued past its use. */
export class OverloadedError extends AppError {
  constructor(message: string) {
    super("resource_exhausted", message);
  }
}

/** The user keeps as much as it may. Room is made by deleting, or by what expires, which is gone within the minute. */
export class OverQuotaError extends AppError {
  constructor(message: string) {
    super("resource_exhausted", message, { retryAfterS: 60 });
  }
}

/** The caller asks more often than it may. */
export class RateLimitedError extends AppError {
  /** retryAfterS: rounded up to whole seconds. */
  constructor(what: string, retryAfterS: number) {
    super("resource_exhausted", `${what}; try again later`, { retryAfterS: Math.max(1, Math.ceil(retryAfterS)) });
  }
}

export class DeadlineExceededError extends AppError {
  constructor(message = "the deadline passed before the answer was ready") {
    super("deadline_exceeded", message);
  }
}

/** A sealed value that was asked for by id does not open. */
export class DataLossError extends AppError {
  constructor(id: string, options: Omit<AppErrorOptions, "field"> = {}) {
    super("data_loss", `memory ${id} cannot be opened`, options);
  }
}

/** Start-up was refused: the message says what to change. */
export class StartupError extends AppError {
  constructor(message: string, options: Omit<AppErrorOptions, "field"> = {}) {
    super("failed_precondition", message, options);
  }
}
