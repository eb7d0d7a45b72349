import type { ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";

/** Metadata key of a label under which a gateway's calls take turns with others. It names nobody: a random one a user, for a short time. */
export const CALLER_KEY = "memseal-caller";

/** A call with one request, and one answer or many. */
export type GrpcCall = ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>;

/** A signal that aborts when the caller of a gRPC call leaves or its deadline passes. */
export function callSignal(call: GrpcCall): AbortSignal {
  const controller = new AbortController();
  if (call.cancelled) controller.abort();
  else call.once("cancelled", () => { controller.abort(); });
  return controller.signal;
}

/** Unix time in milliseconds by which a gRPC call must answer; Infinity where the caller set none. */
export function callDeadlineMs(call: GrpcCall): number {
  const deadline = call.getDeadline();
  return deadline instanceof Date ? deadline.getTime() : deadline;
}
