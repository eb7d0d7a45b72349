import { TIMEOUT_KEY } from "@memseal/resilience";
import { IDEMPOTENCY_KEY } from "@memseal/transport";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Admission, type Access, type Hold, type Received } from "./admission.js";
import type { DelegateCall, TenantCall } from "./call.js";
import { rateLimitHeaders } from "./rates.js";

/** Admission of what came over HTTP. */
export class HttpAdmission {
  constructor(private readonly admission: Admission) {}

  /** Answers with what the work answers, as JSON. */
  admit(access: Access, request: FastifyRequest, reply: FastifyReply, work: (call: TenantCall) => Promise<object>): Promise<string> {
    return this.stream(access, request, reply, async (call, hold) => toJson(await work(call), reply, hold));
  }

  /** As `admit`, for a delegate. */
  exchange(request: FastifyRequest, reply: FastifyReply, work: (call: DelegateCall) => Promise<object>): Promise<string> {
    return this.admission.exchange(received(request, reply), async (call, hold) => toJson(await work(call), reply, hold));
  }

  /** Of an answer in parts, each of which the work holds. */
  stream<T>(access: Access, request: FastifyRequest, reply: FastifyReply, work: (call: TenantCall, hold: Hold) => Promise<T>): Promise<T> {
    return this.admission.admit(received(request, reply), access, work);
  }
}

/** Not left to Fastify: how large it is decides whether it is sent. */
function toJson(answer: object, reply: FastifyReply, hold: Hold): string {
  const json = JSON.stringify(answer);
  hold(Buffer.byteLength(json));
  void reply.type("application/json; charset=utf-8");
  return json;
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
    signal: departureOf(request, reply),
    whenTaken: (taken) => { whenTaken(request, reply, taken); },
    onQuota: (quota) => { void reply.headers(rateLimitHeaders(quota)); },
  };
}

/** All of them: Node shows the first alone. raw: names and values in turn. */
function authorizationOf(raw: readonly string[]): string[] {
  return raw.filter((_value, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === "authorization");
}

/** Aborts when the connection closes before the answer is sent. */
function departureOf(request: FastifyRequest, reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  whenTaken(request, reply, () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

/** Calls back when the answer has left this process, or cannot any more. */
function whenTaken({ raw: { socket } }: FastifyRequest, { raw: answer }: FastifyReply, taken: () => void): void {
  if (answer.destroyed || socket.destroyed) {
    taken();
    return;
  }
  // An answer that waits behind those of requests before it is not told that the connection is gone.
  const end = () => {
    socket.off("close", end);
    answer.off("close", end);
    taken();
  };
  socket.on("close", end);
  answer.on("close", end);
}
