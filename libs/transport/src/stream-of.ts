import type { ServerHttp2Stream } from "node:http2";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { GrpcCall } from "./call-context.js";

/** What grpc-js answers a call through: the handler's call, interceptors, and below them the HTTP/2 stream. Its types keep it to themselves. */
interface Answering {
  readonly call?: Answering;
  readonly nextCall?: Answering;
  readonly stream?: ServerHttp2Stream;
}

/** The stream of a call, as its handler has it or an interceptor. @throws Error for a call that is no server's */
export function streamOf(call: GrpcCall | ServerInterceptingCallInterface): ServerHttp2Stream {
  let answering = call as unknown as Answering;
  for (let next: Answering | undefined = answering; next !== undefined; next = answering.call ?? answering.nextCall) answering = next;
  if (answering.stream === undefined) throw new Error("this call has no HTTP/2 stream");
  return answering.stream;
}
