import { constants } from "node:http2";
import type { GrpcCall } from "./call-context.js";
import { streamOf } from "./stream-of.js";

/** Calls back when the answer of a call has left this process, or cannot any more. */
export function whenTaken(call: GrpcCall, taken: () => void): void {
  const stream = streamOf(call);
  if (stream.destroyed) taken();
  else stream.once("close", taken);
}

/** Ends a call whose answer is not taken in time, whatever its deadline. */
export function cutOffUnlessTaken(call: GrpcCall, withinMs: number): void {
  const stream = streamOf(call);
  const timer = setTimeout(() => { stream.close(constants.NGHTTP2_CANCEL); }, withinMs);
  whenTaken(call, () => { clearTimeout(timer); });
}
