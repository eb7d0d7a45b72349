import { Metadata, status, type ServiceError } from "@grpc/grpc-js";
import { AppError, codeOfGrpcStatus, DeadlineExceededError, statusOf, UnavailableError } from "@memseal/errors";

/** Says that our own code wrote the status; grpc-js and proxies write others, whose texts name hosts, sockets and sizes. */
const OWN_KEY = "memseal-error";
const FIELD_KEY = "memseal-field";
const RETRY_AFTER_KEY = "retry-after";
export const REQUEST_ID_KEY = "x-request-id";

/** No answer came: the peer cannot be reached, or was lost while it had the call, which it may have done. */
export class PeerLostError extends UnavailableError {
  constructor(peer: string, cause: unknown) {
    super(`the ${peer} cannot be reached; try again`, { cause });
  }
}

/** An error as a gRPC status with its field and retry delay in the trailers. */
export function toGrpcStatus(error: AppError): { code: number; message: string; metadata: Metadata } {
  const metadata = new Metadata();
  metadata.set(OWN_KEY, "1");
  if (error.field !== undefined) metadata.set(FIELD_KEY, encodeURIComponent(error.field));
  if (error.retryAfterS !== undefined) metadata.set(RETRY_AFTER_KEY, String(error.retryAfterS));
  return { code: statusOf(error.code).grpc, message: error.message, metadata };
}

/** The error one of our services meant, read back from its status, or our own words for a status that no code of ours wrote. Never throws. */
export function fromGrpcStatus(error: ServiceError, peer: string): AppError {
  if (error.metadata.get(OWN_KEY).length === 0) return fromForeignStatus(error, peer);
  const field = decoded(error.metadata.get(FIELD_KEY)[0]?.toString());
  const retryAfterS = Number(error.metadata.get(RETRY_AFTER_KEY)[0]?.toString() ?? NaN);
  return new AppError(codeOfGrpcStatus(error.code), error.details, {
    ...(field === undefined ? {} : { field }),
    ...(Number.isFinite(retryAfterS) ? { retryAfterS } : {}),
    cause: error,
  });
}

/**
 * What grpc-js says, beside UNAVAILABLE, of a call that its connection ended: a write that met a closed socket, TLS or HTTP/2 that broke, a peer
 * that said goodbye with an error, and streams that Node cancels when a server is shut down. Not what a peer says of one stream by resetting it
 * with INTERNAL_ERROR, or by ending it without a status: that peer is there, and failed. Source: grpc-js 1.14, subchannel-call.ts.
 */
const LOST: Readonly<Record<number, RegExp | undefined>> = {
  [status.CANCELLED]: /^Call cancelled$/,
  [status.INTERNAL]: /^Received RST_STREAM with code \d+(?:$| triggered by internal client error: )/,
};

/** Connection lost, deadline passed, message too large, no such service. */
function fromForeignStatus(error: ServiceError, peer: string): AppError {
  if (LOST[error.code]?.test(error.details) === true) return new PeerLostError(peer, error);
  const code = codeOfGrpcStatus(error.code);
  switch (code) {
    case "unavailable":
      return new PeerLostError(peer, error);
    case "deadline_exceeded":
      return new DeadlineExceededError();
    case "cancelled":
      return new AppError(code, "cancelled", { cause: error });
    case "resource_exhausted":
      return new AppError(code, `the ${peer} cannot take this call: send less in one call, or try again`, { cause: error });
    case "unimplemented":
      // A peer that runs without this service, or does not run it yet.
      return new UnavailableError(`the ${peer} is not served where it is looked for`, { cause: error });
    case "internal":
      return new AppError(code, "internal error", { cause: error });
    default:
      return new AppError(code, `the ${peer} refused the call`, { cause: error });
  }
}

/** undefined for what encodeURIComponent did not write. */
function decoded(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
