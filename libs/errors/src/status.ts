import { AppError, type ErrorCode } from "./app-error.js";

interface Status {
  /** Source: grpc/doc/statuscodes.md. */
  readonly grpc: number;
  readonly http: number;
  /** The HTTP problem's title. */
  readonly title: string;
}

const STATUS: Readonly<Record<ErrorCode, Status>> = {
  cancelled: { grpc: 1, http: 499, title: "Client closed request" },
  invalid_argument: { grpc: 3, http: 400, title: "Bad request" },
  deadline_exceeded: { grpc: 4, http: 504, title: "Deadline exceeded" },
  not_found: { grpc: 5, http: 404, title: "Not found" },
  already_exists: { grpc: 6, http: 409, title: "Conflict" },
  permission_denied: { grpc: 7, http: 403, title: "Forbidden" },
  resource_exhausted: { grpc: 8, http: 429, title: "Too many requests" },
  failed_precondition: { grpc: 9, http: 412, title: "Precondition failed" },
  aborted: { grpc: 10, http: 409, title: "Conflict" },
  unimplemented: { grpc: 12, http: 501, title: "Not implemented" },
  internal: { grpc: 13, http: 500, title: "Internal error" },
  unavailable: { grpc: 14, http: 503, title: "Unavailable" },
  data_loss: { grpc: 15, http: 500, title: "Data loss" },
  unauthenticated: { grpc: 16, http: 401, title: "Unauthenticated" },
};

const BY_GRPC = new Map(Object.entries(STATUS).map(([code, status]) => [status.grpc, code as ErrorCode]));

/** The one table from code to gRPC and HTTP status. */
export function statusOf(code: ErrorCode): Status {
  return STATUS[code];
}

/** The code of a gRPC status number; `internal` for one this product never sends. */
export function codeOfGrpcStatus(grpc: number): ErrorCode {
  return BY_GRPC.get(grpc) ?? "internal";
}

/** What a caller may learn of any thrown value: an AppError as it is, everything else nothing but `internal`. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError("internal", "internal error", { cause: error });
}
