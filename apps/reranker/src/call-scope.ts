import { callDeadlineMs, callSignal, CALLER_KEY, type GrpcCall } from "@memseal/transport";
import type { CallScope } from "./batcher.js";

/** Until when and whether at all the caller of a gRPC call waits, and with whom it takes turns. */
export function callScope(call: GrpcCall): CallScope {
  return { signal: callSignal(call), deadlineMs: callDeadlineMs(call), caller: call.metadata.get(CALLER_KEY)[0]?.toString() ?? "" };
}
