import { AppError, InvalidArgumentError, NotFoundError, statusOf, toAppError, type ErrorCode } from "@memseal/errors";
import { MAX_MESSAGE_BYTES } from "./limits.js";

/** An error answer. Source: RFC 9457, with `code`, `field` and `request_id` of our own. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ErrorCode;
  field?: string;
  request_id: string;
}

/** A thrown value as HTTP sees it: usually the status of its code, but HTTP has more statuses than we have codes. */
export interface HttpFault {
  readonly error: AppError;
  readonly status: number;
  readonly title: string;
}

/** What HTTP answers to any thrown value. Messages of Fastify and Nest repeat paths and bodies, so only our words pass. */
export function httpFaultOf(thrown: unknown): HttpFault {
  switch (thrown instanceof AppError ? undefined : statusIn(thrown)) {
    case 404:
      return fault(new NotFoundError("route"));
    case 413:
      return { error: new AppError("resource_exhausted", `the body must have at most ${MAX_MESSAGE_BYTES} bytes`), status: 413, title: "Content too large" };
    case 415:
      return { error: new InvalidArgumentError("content-type", "must be application/json, and the body sent as it is, without a content-encoding"), status: 415, title: "Unsupported media type" };
    case 400:
    case 414:
      return fault(new InvalidArgumentError("request", "is not well-formed: check the path's encoding and length, and that the body is one JSON value in UTF-8 without the name __proto__"));
    default:
      return fault(toAppError(thrown));
  }
}

/** What HTTP answers to a connection on which no request was understood, by the code that Node's parser gives. */
export function connectionFaultOf(code: string | undefined): HttpFault {
  switch (code) {
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { error: new AppError("deadline_exceeded", "the request took too long to arrive"), status: 408, title: "Request timeout" };
    case "HPE_HEADER_OVERFLOW":
      return { error: new InvalidArgumentError("request", "has too many or too large headers"), status: 431, title: "Request header fields too large" };
    default:
      return fault(new InvalidArgumentError("request", "is not HTTP/1.1"));
  }
}

export function problemOf({ error, status, title }: HttpFault, requestId: string): Problem {
  return {
    type: `urn:memseal:problem:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    ...(error.field === undefined ? {} : { field: error.field }),
    request_id: requestId,
  };
}

/** Headers that go with a problem: how to log in, when to try again. */
export function problemHeaders({ error, status }: HttpFault): Record<string, string> {
  if (status === 401) return { "www-authenticate": "Bearer" };
  // 413 shares its code with 429: too large once is too large again.
  return error.retryAfterS === undefined || status === 413 ? {} : { "retry-after": String(error.retryAfterS) };
}

function fault(error: AppError): HttpFault {
  const { http, title } = statusOf(error.code);
  return { error, status: http, title };
}

/** The status that Fastify (`statusCode`) or Nest (`getStatus`) gave an error of theirs. */
function statusIn(thrown: unknown): unknown {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  if ("getStatus" in thrown && typeof thrown.getStatus === "function") return (thrown as { getStatus(): unknown }).getStatus();
  return "statusCode" in thrown ? thrown.statusCode : undefined;
}
