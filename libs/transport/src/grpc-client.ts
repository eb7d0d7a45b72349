import { Client, Metadata, type MethodDefinition } from "@grpc/grpc-js";
import { AppError, DeadlineExceededError } from "@memseal/errors";
import { fromGrpcStatus } from "./grpc-status.js";
import { MAX_INNER_MESSAGE_BYTES } from "./limits.js";
import { TransportSecurity } from "./transport-security.js";

/**
 * A channel to one service that comes back to a restarted peer within half a second. name: whom the peer's certificate must be for,
 * where that is not the address's own. @throws StartupError where it would be plaintext that is not allowed
 */
export function connect(address: string, security = TransportSecurity.LOOPBACK, name?: string): Client {
  const { credentials, options } = security.channel(address, name);
  return new Client(address, credentials, {
    ...options,
    "grpc.max_receive_message_length": MAX_INNER_MESSAGE_BYTES,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 500,
    // A peer that hangs, or whose machine is gone without a word, is noticed within 15 s.
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
    // Whatever proxy the environment names is for the world outside.
    "grpc.enable_http_proxy": 0,
  });
}

export interface CallContext {
  /** Name of the peer for error messages, such as `indexer`. */
  peer: string;
  /** Unix time in milliseconds at which nobody waits any more. */
  deadlineMs: number;
  signal?: AbortSignal | undefined;
  metadata?: Readonly<Record<string, string>> | undefined;
  /** Told what the peer sends ahead of its answer. */
  onMetadata?: ((metadata: Metadata) => void) | undefined;
}

/**
 * One unary call of a generated service definition, such as `IndexerServiceService.put`, as a promise. It ends at the deadline or the signal, whichever is first.
 * @throws AppError as the peer meant it
 */
export function unary<Request, Response>(
  client: Client,
  { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
  request: Request,
  { peer, deadlineMs, signal, metadata, onMetadata }: CallContext,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(new AppError("cancelled", "cancelled"));
      return;
    }
    if (deadlineMs <= Date.now()) {
      reject(new DeadlineExceededError());
      return;
    }
    const headers = new Metadata();
    for (const [key, value] of Object.entries(metadata ?? {})) headers.set(key, value);
    const call = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, headers, { deadline: deadlineMs }, (error, response) => {
      signal?.removeEventListener("abort", cancel);
      if (error) reject(fromGrpcStatus(error, peer));
      // grpc-js gives a value or an error, never neither.
      else resolve(response as Response);
    });
    if (onMetadata !== undefined) call.on("metadata", onMetadata);
    const cancel = () => { call.cancel(); };
    signal?.addEventListener("abort", cancel, { once: true });
  });
}
