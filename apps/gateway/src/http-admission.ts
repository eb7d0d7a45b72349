import { TIMEOUT_KEY } from "@memseal/resilience";
import { IDEMPOTENCY_KEY } from "@memseal/transport";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Admission, type Access, type Received } from "./admission.js";
import type { DelegateCall, TenantCall } from "./call.js";
import { rateLimitHeaders } from "./rates.js";

/** Admission of what came over HTTP. */
export class HttpAdmission {
  constructor(private readonly admission: Admission) {}

  admit<T>(access: Access, request: FastifyRequest, reply: FastifyReply, work: (call: TenantCall) => Promise<T>): Promise<T> {
    return this.admission.admit(received(request, reply), access, work);
  }

  exchange<T>(request: FastifyRequest, reply: FastifyReply, work: (call: DelegateCall) => Promise<T>): Promise<T> {
    return this.admission.exchange(received(request, reply), work);
  }
}

function received(request: FastifyRequest, reply: FastifyReply): Received {
  const { headers } = request;
  return {
    requestId: request.id,
    authorization: authorizationOf(request.raw.rawHeaders),
    address: request.ip ?? "",
    timeout: headers[TIMEOUT_KEY]?.toString(),
    idempotencyKey: headers[IDEMPOTENCY_KEY]?.toString(),
    deadlineMs: Infinity,
    signal: departureOf(reply),
    onQuota: (quota) => { void reply.headers(rateLimitHeaders(quota)); },
  };
}

/** All of them: Node shows the first alone. raw: names and values in turn. */
function authorizationOf(raw: readonly string[]): string[] {
  return raw.filter((_value, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === "authorization");
}

/** Aborts when the connection closes before the answer is sent. */
function departureOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
