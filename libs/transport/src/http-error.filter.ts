import { Catch, type ArgumentsHost, type ExceptionFilter } from "@nestjs/common";
import type { ErrorCode } from "@memseal/errors";
import type { Logger } from "@memseal/telemetry";
import type { FastifyReply, FastifyRequest } from "fastify";
import { REQUEST_ID_KEY } from "./grpc-status.js";
import { httpFaultOf, problemHeaders, problemOf, type HttpFault, type Problem } from "./http-problem.js";
import { logFailure } from "./log-failure.js";

const answered = new WeakMap<FastifyReply, ErrorCode>();

/** The one place where a thrown value becomes an HTTP answer. */
@Catch()
export class HttpErrorFilter implements ExceptionFilter {
  constructor(private readonly log: Logger) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(thrown, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  /** For errors that Fastify meets before there is a route to catch them. */
  answer(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const fault = this.#note(thrown, request, reply);
    void reply
      .code(fault.status)
      .headers({ [REQUEST_ID_KEY]: request.id, ...problemHeaders(fault) })
      .type("application/problem+json")
      .send(JSON.stringify(problemOf(fault, request.id)));
  }

  /** For errors of an answer that has begun: the problem is to be a part of it. */
  problemWithin(thrown: unknown, request: FastifyRequest, reply: FastifyReply): Problem {
    return problemOf(this.#note(thrown, request, reply), request.id);
  }

  #note(thrown: unknown, request: FastifyRequest, reply: FastifyReply): HttpFault {
    const fault = httpFaultOf(thrown);
    logFailure(this.log, fault.error, request.id);
    answered.set(reply, fault.error.code);
    return fault;
  }
}

/** The code a reply failed with; undefined for one that succeeded. */
export function failureOf(reply: FastifyReply): ErrorCode | undefined {
  return answered.get(reply);
}
