import { constants } from "node:http2";
import { ServerInterceptingCall, status, type ServerInterceptor } from "@grpc/grpc-js";
import { DeadlineExceededError } from "@memseal/errors";
import { toGrpcStatus } from "./grpc-status.js";
import { streamOf } from "./stream-of.js";

/** How long a status may take to leave before its stream is closed. A caller that reads nothing never takes it. */
const TELL_MS = 1_000;

/**
 * Ends each call whose request has not arrived whole in time, with `deadline_exceeded`. Also a call that was answered before
 * it was sent, as one is whose own deadline passes: the half that its caller keeps open holds what came of the message.
 */
export function cutOffUnlessSent(withinMs: number): ServerInterceptor {
  const { message: details, metadata } = toGrpcStatus(new DeadlineExceededError(`the request did not arrive within ${withinMs / 1_000} s; send it whole`));
  return (_method, call) => {
    const stream = streamOf(call);
    const close = () => { stream.close(stream.writableFinished ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL); };
    let timer = setTimeout(() => {
      call.sendStatus({ code: status.DEADLINE_EXCEEDED, details, metadata });
      timer = setTimeout(close, TELL_MS);
    }, withinMs);
    const stop = () => { clearTimeout(timer); };
    stream.once("end", stop).once("close", stop);
    return new ServerInterceptingCall(call);
  };
}
