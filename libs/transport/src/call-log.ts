import { Metadata, ServerInterceptingCall, status, type ServerInterceptor } from "@grpc/grpc-js";
import { codeOfGrpcStatus } from "@memseal/errors";
import type { Code, Logger, Metrics } from "@memseal/telemetry";
import { REQUEST_ID_KEY } from "./grpc-status.js";
import { requestIdFrom } from "./request-id.js";

export interface CallLogSpec {
  log: Logger;
  metrics: Metrics;
  /** Full names, such as `memseal.indexer.v1.IndexerService/Put`. Calls of others (health) are not counted. */
  methods: readonly string[];
}

/**
 * Counts, times and logs each call of our services once, whatever ends it: guards, handlers, deadlines and callers that
 * leave. Gives a call without a request id a new one, and sends the id back.
 */
export function observeCalls({ log, metrics, methods }: CallLogSpec): ServerInterceptor {
  const calls = metrics.counter("memseal_calls_total", { method: methods });
  const durations = metrics.latency("memseal_call_duration_seconds", { method: methods });
  const known = new Set(methods);
  return ({ path }, call) => {
    const method = path.slice(1);
    if (!known.has(method)) return new ServerInterceptingCall(call);
    const startedAt = performance.now();
    let requestId = "";
    let isEnded = false;
    const end = (code: Code) => {
      if (isEnded) return;
      isEnded = true;
      const durationMs = performance.now() - startedAt;
      calls.inc({ method, code });
      durations.observe({ method }, durationMs / 1_000);
      log.info("call", { method, code, requestId, durationMs: Math.round(durationMs * 1_000) / 1_000 });
    };
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, nextMetadata) => {
            requestId = requestIdFrom(metadata.get(REQUEST_ID_KEY)[0]);
            metadata.set(REQUEST_ID_KEY, requestId);
            nextMetadata(metadata);
          },
          onCancel: () => { end("cancelled"); },
        });
      },
      sendMetadata: (metadata, next) => {
        metadata.set(REQUEST_ID_KEY, requestId);
        next(metadata);
      },
      sendStatus: (outcome, next) => {
        end(outcome.code === status.OK ? "ok" : codeOfGrpcStatus(outcome.code));
        const metadata = outcome.metadata ?? new Metadata();
        metadata.set(REQUEST_ID_KEY, requestId);
        next({ ...outcome, metadata });
      },
    });
  };
}
