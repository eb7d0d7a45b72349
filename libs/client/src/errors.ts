/** What went wrong, in the words of the service (google.rpc.Code in lower case). */
export type MemsealErrorCode =
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

export interface MemsealErrorDetails {
  status?: number | undefined;
  requestId?: string | undefined;
  field?: string | undefined;
  retryAfterS?: number | undefined;
  cause?: unknown;
}

/**
 * Every failure of a call, except that a caller's own AbortSignal rejects with its reason.
 * `unavailable` and `deadline_exceeded` without a status are the client's own: no answer came.
 */
export class MemsealError extends Error {
  override readonly name = "MemsealError";
  readonly code: MemsealErrorCode;
  /** Of HTTP; absent where no answer came. */
  readonly status: number | undefined;
  /** To be named when asking whoever runs the service. */
  readonly requestId: string | undefined;
  /** Path of the offending field as on the wire, such as `memories[3].occurred_at`. */
  readonly field: string | undefined;
  /** Seconds after which trying again makes sense. */
  readonly retryAfterS: number | undefined;

  constructor(code: MemsealErrorCode, message: string, { status, requestId, field, retryAfterS, cause }: MemsealErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
    this.requestId = requestId;
    this.field = field;
    this.retryAfterS = retryAfterS;
  }
}

/** For answers of something in between that is no Memseal. */
const BY_STATUS: Readonly<Record<number, MemsealErrorCode>> = {
  400: "invalid_argument",
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  409: "aborted",
  412: "failed_precondition",
  413: "resource_exhausted",
  429: "resource_exhausted",
  501: "unimplemented",
  502: "unavailable",
  503: "unavailable",
  504: "deadline_exceeded",
};

const CODES: ReadonlySet<unknown> = new Set<MemsealErrorCode>([
  "invalid_argument", "unauthenticated", "permission_denied", "not_found", "already_exists", "aborted", "failed_precondition",
  "resource_exhausted", "unavailable", "deadline_exceeded", "cancelled", "data_loss", "unimplemented", "internal",
]);

/** The error that an answer other than 2xx is: a problem document (RFC 9457), or whatever a proxy says. */
export function errorOf(answer: { status: number; headers: Headers; body: string }): MemsealError {
  const problem = problemIn(answer.body);
  const retryAfter = answer.headers.get("retry-after");
  return new MemsealError(codeIn(problem) ?? BY_STATUS[answer.status] ?? "internal", text(problem["detail"]) ?? `the answer was HTTP ${answer.status}`, {
    status: answer.status,
    requestId: text(problem["request_id"]) ?? answer.headers.get("x-request-id") ?? undefined,
    field: text(problem["field"]),
    retryAfterS: retryAfter !== null && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined,
  });
}

/** The error in an event of a stream that had begun well. */
export function errorInStream(problem: Readonly<Record<string, unknown>>, requestId: string | undefined): MemsealError {
  return new MemsealError(codeIn(problem) ?? "internal", text(problem["detail"]) ?? "the stream failed", {
    status: typeof problem["status"] === "number" ? problem["status"] : undefined,
    requestId: text(problem["request_id"]) ?? requestId,
    field: text(problem["field"]),
  });
}

function codeIn({ code }: Readonly<Record<string, unknown>>): MemsealErrorCode | undefined {
  return CODES.has(code) ? (code as MemsealErrorCode) : undefined;
}

function problemIn(body: string): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(body);
    return typeof json === "object" && json !== null ? (json as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
