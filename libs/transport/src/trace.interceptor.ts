import { Stream } from "node:stream";
import type { Metadata, ServerUnaryCall } from "@grpc/grpc-js";
import { toAppError } from "@memseal/errors";
import { endSpan, runWithin, startServerSpan, TRACEPARENT_KEY, type SpanSpec } from "@memseal/telemetry";
import type { CallHandler, ExecutionContext, NestInterceptor } from "@nestjs/common";
import type { FastifyRequest } from "fastify";
import { Observable } from "rxjs";
import { REQUEST_ID_KEY } from "./grpc-status.js";

/** A span for each request that has a handler, its authentication included: what the handler calls is below it. Health, metrics and documents have none. */
export class TraceInterceptor implements NestInterceptor {
  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = execution.getType() === "http" ? httpRequest(execution) : grpcRequest(execution);
    if (request === undefined) return next.handle();
    return new Observable((subscriber) => {
      const { span, within } = startServerSpan(request.span, request.traceparent);
      // A stream over HTTP is the answer, and goes on after it was given.
      let answer: unknown;
      return runWithin(within, () => next.handle().subscribe({
        next: (value) => {
          answer = value;
          subscriber.next(value);
        },
        error: (error: unknown) => {
          endSpan(span, toAppError(error).code);
          subscriber.error(error);
        },
        complete: () => {
          if (answer instanceof Stream) answer.once("close", () => { endSpan(span, "ok"); });
          else endSpan(span, "ok");
          subscriber.complete();
        },
      }));
    });
  }
}

interface Incoming {
  readonly span: SpanSpec;
  readonly traceparent: string | undefined;
}

function httpRequest(execution: ExecutionContext): Incoming | undefined {
  const { method, routeOptions: { url }, headers, id } = execution.switchToHttp().getRequest<FastifyRequest>();
  if (url === undefined || !/^\/v\d+\//.test(url)) return undefined;
  return {
    span: { name: `${method} ${url}`, attributes: { "http.request.method": method, "http.route": url, "memseal.request_id": id } },
    traceparent: headers[TRACEPARENT_KEY]?.toString(),
  };
}

function grpcRequest(execution: ExecutionContext): Incoming {
  const [, metadata, call] = execution.getArgs<[unknown, Metadata, ServerUnaryCall<unknown, unknown>]>();
  const method = call.getPath().slice(1);
  const requestId = metadata.get(REQUEST_ID_KEY)[0]?.toString();
  return {
    span: { name: method, attributes: { "rpc.system.name": "grpc", "rpc.method": method, ...(requestId !== undefined && { "memseal.request_id": requestId }) } },
    traceparent: metadata.get(TRACEPARENT_KEY)[0]?.toString(),
  };
}
