import type { Scope } from "@memseal/auth";
import { TIMEOUT_KEY } from "@memseal/resilience";
import { IDEMPOTENCY_KEY } from "@memseal/transport";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Admission } from "./admission.js";
import type { TenantCall } from "./call.js";

/** Admission of what came over HTTP. */
export class HttpAdmission {
  constructor(private readonly admission: Admission) {}

  admit<T>(scope: Scope, request: FastifyRequest, reply: FastifyReply, work: (call: TenantCall) => Promise<T>): Promise<T> {
    const { headers } = request;
    return this.admission.admit(
      {
        requestId: request.id,
        authorization: headers.authorization,
        timeout: headers[TIMEOUT_KEY]?.toString(),
        idempotencyKey: headers[IDEMPOTENCY_KEY]?.toString(),
        deadlineMs: Infinity,
        signal: departureOf(reply),
      },
      scope,
      work,
    );
  }
}

/** Aborts when the connection closes before the answer is sent. */
function departureOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
