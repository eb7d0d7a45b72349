import { Metadata, type ServiceError } from "@grpc/grpc-js";
import { AppError, codeOfGrpcStatus, DeadlineExceededError, statusOf, UnavailableError } from "@memseal/errors";

const FIELD_KEY = "memseal-field";
const RETRY_AFTER_KEY = "retry-after";
export const REQUEST_ID_KEY = "x-request-id";

/** An error as a gRPC status with its field and retry delay in the trailers. */
export function toGrpcStatus(error: AppError): { code: number; message: string; metadata: Metadata } {
  const metadata = new Metadata();
  if (error.field !== undefined) metadata.set(FIELD_KEY, encodeURIComponent(error.field));
  if (error.retryAfterS !== undefined) metadata.set(RETRY_AFTER_KEY, String(error.retryAfterS));
  return { code: statusOf(error.code).grpc, message: error.message, metadata };
}

/**
 * The error one of our services meant, read back from its status. A status that grpc-js made itself
 * (connection lost, deadline passed) gets our own words: its text names hosts and sockets.
 */
export function fromGrpcStatus(error: ServiceError, peer: string): AppError {
  const code = codeOfGrpcStatus(error.code);
  switch (code) {
    case "unavailable":
      return new UnavailableError(`the ${peer} cannot be reached; try again`, { cause: error });
    case "deadline_exceeded":
      return new DeadlineExceededError();
    case "internal":
    case "cancelled":
      return new AppError(code, code === "internal" ? "internal error" : "cancelled", { cause: error });
    default: {
      const field = error.metadata.get(FIELD_KEY)[0]?.toString();
      const retryAfterS = error.metadata.get(RETRY_AFTER_KEY)[0]?.toString();
      return new AppError(code, error.details, {
        ...(field === undefined ? {} : { field: decodeURIComponent(field) }),
        ...(retryAfterS === undefined ? {} : { retryAfterS: Number(retryAfterS) }),
      });
    }
  }
}
