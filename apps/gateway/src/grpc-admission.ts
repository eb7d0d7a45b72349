import type { Metadata, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import { MemoryServiceService } from "@memseal/contracts";
import { TIMEOUT_KEY } from "@memseal/resilience";
import { callDeadlineMs, callSignal, cutOffUnlessTaken, IDEMPOTENCY_KEY, REQUEST_ID_KEY, whenTaken, type GrpcCall } from "@memseal/transport";
import { Admission, LONGEST_STREAM_MS, type Access, type Hold, type Received } from "./admission.js";
import type { DelegateCall, TenantCall } from "./call.js";

export type UnaryCall = ServerUnaryCall<unknown, unknown>;
export type StreamingCall = ServerWritableStream<unknown, unknown>;

/** Admission of what came over gRPC. Answers are encoded here, not by grpc-js: how large they are decides whether they are sent. */
export class GrpcAdmission {
  /** takeTimeoutMs: how long an answer may take to be taken. */
  constructor(private readonly admission: Admission, private readonly takeTimeoutMs: number) {}

  admit(access: Access, metadata: Metadata, call: UnaryCall, work: (call: TenantCall) => Promise<unknown>): Promise<Buffer> {
    return this.#taken(call, this.admission.admit(received(metadata, call), access, async (admitted, hold) => encodeHeld(call, await work(admitted), hold)));
  }

  exchange(metadata: Metadata, call: UnaryCall, work: (call: DelegateCall) => Promise<unknown>): Promise<Buffer> {
    return this.#taken(call, this.admission.exchange(received(metadata, call), async (admitted, hold) => encodeHeld(call, await work(admitted), hold)));
  }

  /** Writes the events itself, each when the one before it is taken; Nest would gather them. */
  stream(access: Access, metadata: Metadata, call: StreamingCall, events: (call: TenantCall) => AsyncIterable<unknown>): Promise<void> {
    cutOffUnlessTaken(call, LONGEST_STREAM_MS + this.takeTimeoutMs);
    return this.admission.admit(received(metadata, call), access, async (admitted, hold) => {
      let taken = Promise.resolve();
      for await (const event of events(admitted)) {
        await taken;
        admitted.signal.throwIfAborted();
        const bytes = encode(call, event);
        taken = write(call, bytes, admitted.signal, hold(bytes.length));
      }
    });
  }

  /** A failure, too, waits for a receiver whose window is closed. */
  async #taken(call: UnaryCall, answer: Promise<Buffer>): Promise<Buffer> {
    try {
      return await answer;
    } finally {
      cutOffUnlessTaken(call, this.takeTimeoutMs);
    }
  }
}

const encoders = new Map<string, (message: unknown) => Buffer>(Object.values(MemoryServiceService).map(({ path, responseSerialize }) => [path, responseSerialize as (message: unknown) => Buffer]));

function encode(call: UnaryCall | StreamingCall, message: unknown): Buffer {
  const encoder = encoders.get(call.getPath());
  if (encoder === undefined) throw new RangeError("only calls of the public service are admitted");
  return encoder(message);
}

function encodeHeld(call: UnaryCall, answer: unknown, hold: Hold): Buffer {
  const bytes = encode(call, answer);
  hold(bytes.length);
  return bytes;
}

/** Resolves when it is taken, or nobody waits for it any more. */
function write(call: StreamingCall, bytes: Buffer, signal: AbortSignal, taken: () => void): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      signal.removeEventListener("abort", end);
      resolve();
    };
    signal.addEventListener("abort", end);
    call.write(bytes, () => {
      taken();
      end();
    });
  });
}

function received(metadata: Metadata, call: GrpcCall): Received {
  return {
    requestId: text(metadata, REQUEST_ID_KEY) ?? "",
    authorization: metadata.get("authorization").map(String),
    address: addressOf(call.getPeer()),
    timeout: text(metadata, TIMEOUT_KEY),
    idempotencyKey: text(metadata, IDEMPOTENCY_KEY),
    deadlineMs: callDeadlineMs(call),
    signal: callSignal(call),
    whenTaken: (taken) => { whenTaken(call, taken); },
  };
}

/** A peer is `address:port`, and on a Unix socket a path. */
function addressOf(peer: string): string {
  return peer.replace(/:\d+$/, "");
}

function text(metadata: Metadata, key: string): string | undefined {
  return metadata.get(key)[0]?.toString();
}
