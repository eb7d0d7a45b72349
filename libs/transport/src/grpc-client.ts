import { Client, Metadata, type MethodDefinition, type ServiceError } from "@grpc/grpc-js";
import { AppError, DeadlineExceededError } from "@memseal/errors";
import { currentTraceparent, inSpan, SpanKind, TRACEPARENT_KEY, type SpanSpec } from "@memseal/telemetry";
import { endInTime, mayReset } from "./call-end.js";
import { CHANNELZ_OFF } from "./channelz.js";
import { fromGrpcStatus } from "./grpc-status.js";
import { MAX_INNER_MESSAGE_BYTES } from "./limits.js";
import { TransportSecurity } from "./transport-security.js";

/** Calls in turn to every address that a name has, as long as it answers. */
const IN_TURN = JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] });

export interface ConnectOptions {
  /** Whom the peer's certificate must be for, where that is not the address's own. */
  name?: string | undefined;
  /** Whether each of the name's addresses is such a service, and gets its share of the calls. */
  isSpread?: boolean;
}

/**
 * A channel to one service that comes back to a restarted peer within half a second.
 * @throws StartupError where it would be plaintext that is not allowed
 */
export function connect(address: string, security = TransportSecurity.LOOPBACK, { name, isSpread = false }: ConnectOptions = {}): Client {
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
    ...CHANNELZ_OFF,
    ...(isSpread ? { "grpc.service_config": IN_TURN, "grpc.dns_min_time_between_resolutions_ms": 5_000 } : {}),
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
  return inSpan(spanOf(path, peer), () => new Promise((resolve, reject) => {
    assertAwaited(signal, deadlineMs);
    const call = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadataOf(metadata, deadlineMs), (error, response) => {
      ended();
      if (error) reject(fromGrpcStatus(error, peer));
      // grpc-js gives a value or an error, never neither.
      else resolve(response as Response);
    });
    const ended = endInTime(client, call, { deadlineMs, signal }, reject);
    if (onMetadata !== undefined) call.on("metadata", onMetadata);
  }));
}

/**
 * The answers of one call of a method that streams them, as they come. It ends as `unary` does, and when the reader stops.
 * @throws AppError as the peer meant it
 */
export async function* serverStream<Request, Response>(
  client: Client,
  { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
  request: Request,
  { peer, deadlineMs, signal, metadata }: Omit<CallContext, "onMetadata">,
): AsyncGenerator<Response, void, undefined> {
  assertAwaited(signal, deadlineMs);
  const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadataOf(metadata, deadlineMs));
  let isOver = false;
  const ended = endInTime(client, call, { deadlineMs, signal }, (error) => { call.destroy(error); });
  call.once("status", () => {
    isOver = true;
    ended();
  });
  // A status after the stream was destroyed is nobody's to hear.
  call.on("error", () => undefined);
  try {
    for await (const response of call) yield response as Response;
  } catch (error) {
    throw error instanceof AppError ? error : fromGrpcStatus(error as ServiceError, peer);
  } finally {
    if (!isOver && signal?.aborted !== true && deadlineMs > Date.now() && mayReset(client)) call.cancel();
  }
}

function spanOf(path: string, peer: string): SpanSpec {
  return { name: path.slice(1), kind: SpanKind.CLIENT, attributes: { "rpc.system.name": "grpc", "rpc.method": path.slice(1), "memseal.peer": peer } };
}

/** @throws AppError `cancelled`, DeadlineExceededError: nothing is sent that nobody waits for */
function assertAwaited(signal: AbortSignal | undefined, deadlineMs: number): void {
  if (signal?.aborted) throw new AppError("cancelled", "cancelled");
  if (deadlineMs <= Date.now()) throw new DeadlineExceededError();
}

/** The deadline goes as the header that grpc-js itself would send: told of one, it would reset the stream of each call that passes it. */
function metadataOf(values: Readonly<Record<string, string>> = {}, deadlineMs: number): Metadata {
  const metadata = new Metadata();
  metadata.set("grpc-timeout", `${Math.max(1, Math.ceil(deadlineMs - Date.now()))}m`);
  for (const [key, value] of Object.entries(values)) metadata.set(key, value);
  const traceparent = currentTraceparent();
  if (traceparent !== undefined) metadata.set(TRACEPARENT_KEY, traceparent);
  return metadata;
}
