import { constants, type ServerHttp2Stream } from "node:http2";
import type { GrpcCall } from "./call-context.js";

/** What grpc-js answers a call through: interceptors around the HTTP/2 stream. Its types keep it to themselves. */
interface Answering {
  readonly nextCall?: Answering;
  readonly stream?: ServerHttp2Stream;
}

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

/** @throws Error for a call that is no server's */
function streamOf(call: GrpcCall): ServerHttp2Stream {
  let answering = (call as unknown as { readonly call: Answering }).call;
  while (answering.nextCall !== undefined) answering = answering.nextCall;
  if (answering.stream === undefined) throw new Error("this call has no HTTP/2 stream");
  return answering.stream;
}
