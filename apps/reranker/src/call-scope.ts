import { callDeadlineMs, callSignal, type GrpcCall } from "@memseal/transport";
import type { CallScope } from "./work-queue.js";

/** Until when and whether at all the caller of a gRPC call waits. */
export function callScope(call: GrpcCall): CallScope {
  return { signal: callSignal(call), deadlineMs: callDeadlineMs(call) };
}
