import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { connect } from "node:net";
import { Duplex } from "node:stream";

const PREFACE_BYTES = 24;
const FRAME_HEAD_BYTES = 9;
const HEADERS = 1;
/** Flag END_HEADERS. */
const END_HEADERS = 4;
/** Unary calls or streams of a client that reads nothing of their answers but how they ended. */
export class UnreadCalls {
  /** `grpc-status` of those that were refused, and in place of it `cut` of those that were ended. */
  readonly ends: string[] = [];
  readonly #session: ClientHttp2Session;

  constructor(address: string, private readonly key: string) {
    // One byte of each: with none even an empty answer would wait, and its trailers behind it.
    this.#session = connectHttp2(`http://${address}`, { settings: { initialWindowSize: 1 } });
  }

  ask(path: string, message: Buffer): void {
    const stream = this.#session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", authorization: `Bearer ${this.key}` });
    let isTold = false;
    const end = (how: string): void => {
      if (!isTold) this.ends.push(how);
      isTold = true;
    };
    onStatus(stream, end);
    stream.on("error", () => undefined);
    stream.once("close", () => { end("cut"); });
    const head = Buffer.alloc(FRAME_HEAD);
    head.writeUInt32BE(message.length, 1);
    stream.pause().end(Buffer.concat([head, message]));
  }

  leave(): void {
    this.#session.destroy();
  }
}

/** Tells the `grpc-status` of a call, which an answer without a message has in its head and another in its trailers. */
function onStatus(stream: ClientHttp2Stream, told: (status: string) => void): void {
  const tell = (headers: Record<string, unknown>): void => { if (headers["grpc-status"] !== undefined) told(headers["grpc-status"] as string); };
  stream.on("response", tell).on("trailers", tell);
}

/** Of a message: whether it is packed, and its length. */
const FRAME_HEAD = 5;
/** A message without a field, in its frame. */
const EMPTY_MESSAGE = Buffer.alloc(FRAME_HEAD);

/**
 * The `grpc-status` of a unary call with an empty message and exactly these fields, in their order. Node's own client sends no
 * field twice that is to be there once, so its HEADERS frame is replaced on the way out.
 */
export async function grpcStatusOf(address: string, path: string, fields: readonly (readonly [string, string])[]): Promise<string | undefined> {
  const [host, port] = address.split(":");
  const all = [[":method", "POST"], [":scheme", "http"], [":path", path], [":authority", address], ["content-type", "application/grpc"], ["te", "trailers"], ...fields] as const;
  const session = connectHttp2(`http://${address}`, { createConnection: () => replacingHeaders(Number(port), host, hpack(all)) });
  try {
    return await new Promise((resolve, reject) => {
      session.once("error", reject);
      const stream = session.request({ ":method": "POST", ":path": path });
      onStatus(stream, resolve);
      stream.once("error", reject).resume();
      stream.once("close", () => { resolve(undefined); });
      stream.end(EMPTY_MESSAGE);
    });
  } finally {
    session.destroy();
  }
}

/** How a call ends whose message comes in drops, `grpc-status` or `cut`, and after how long, in ms. */
export async function stretchedCall(address: string, path: string): Promise<{ end: string; tookMs: number }> {
  const session = connectHttp2(`http://${address}`);
  const openedAt = performance.now();
  let drops: NodeJS.Timeout | undefined;
  try {
    const end = await new Promise<string>((resolve, reject) => {
      session.once("error", reject);
      const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" }, { endStream: false });
      let status = "cut";
      onStatus(stream, (told) => { status = told; });
      stream.on("error", () => undefined).resume();
      stream.once("close", () => { resolve(status); });
      drops = setInterval(() => { if (stream.writable) stream.write(Buffer.of(1)); }, 300);
      // Of 25,600 bytes.
      stream.write(Buffer.of(0, 0, 0, 100, 0));
    });
    return { end, tookMs: performance.now() - openedAt };
  } finally {
    clearInterval(drops);
    session.destroy();
  }
}

/** A connection that sends `block` in every HEADERS frame. */
function replacingHeaders(port: number, host: string | undefined, block: Buffer): Duplex {
  const socket = connect(port, host);
  let [unsent, hasPreface] = [Buffer.alloc(0), false];
  const outgoing = function* (chunk: Buffer): Generator<Buffer> {
    unsent = Buffer.concat([unsent, chunk]);
    if (!hasPreface && unsent.length >= PREFACE_BYTES) {
      yield unsent.subarray(0, PREFACE_BYTES);
      unsent = unsent.subarray(PREFACE_BYTES);
      hasPreface = true;
    }
    while (hasPreface && unsent.length >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + unsent.readUIntBE(0, 3);
      if (unsent.length < end) return;
      const frame = unsent.subarray(0, end);
      yield frame[3] === HEADERS ? headersFrame(frame, block) : frame;
      unsent = unsent.subarray(end);
    }
  };
  const duplex = new Duplex({
    read() { socket.resume(); },
    write(chunk: Buffer, _encoding, done) {
      for (const part of outgoing(chunk)) socket.write(part);
      done();
    },
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on("data", (chunk: Buffer) => { if (!duplex.push(chunk)) socket.pause(); });
  socket.on("end", () => duplex.push(null));
  socket.on("error", (error) => { duplex.destroy(error); });
  return duplex;
}

/** Of the same stream, with other fields and no end of the stream: a message follows. */
function headersFrame(frame: Buffer, block: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(block.length, 0, 3);
  head.writeUInt8(HEADERS, 3);
  head.writeUInt8(END_HEADERS, 4);
  head.writeUInt32BE(frame.readUInt32BE(5), 5);
  return Buffer.concat([head, block]);
}

/** Every field as a literal with its name, never indexed and not compressed. Source: RFC 7541, 6.2.2 and 6.2.3. */
function hpack(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0x10), ...[name, value].map((text) => Buffer.concat([lengthOf(text), Buffer.from(text)]))]));
}

/** In 7 bits, or 127 and the rest in groups of 7, the lowest first. Source: RFC 7541, 5.1. */
function lengthOf(text: string): Buffer {
  const length = Buffer.byteLength(text);
  if (length < 127) return Buffer.of(length);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128);
  return Buffer.of(...bytes, rest);
}
