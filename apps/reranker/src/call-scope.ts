import type { ServerUnaryCall } from "@grpc/grpc-js";
import { callDeadlineMs, callSignal } from "@memseal/transport";
import type { CallScope } from "./work-queue.js";

/** Until when and whether at all the caller of a gRPC call waits. */
export function callScope(call: ServerUnaryCall<unknown, unknown>): CallScope {
  return { signal: callSignal(call), deadlineMs: callDeadlineMs(call) };
}
