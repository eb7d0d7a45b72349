import { OpenError } from "./errors.js";

/** One chunk's span and vector, the plaintext of an embedding blob. */
export interface ChunkEmbedding {
  /** Code points of the memory's text, end exclusive. */
  start: number;
  end: number;
  vector: Float32Array;
}

const SPAN_BYTES = 8;

/** u32 start | u32 end, big-endian, then the vector as little-endian float32. */
export function encodeEmbedding({ start, end, vector }: ChunkEmbedding): Buffer {
  const bytes = Buffer.allocUnsafe(SPAN_BYTES + vector.byteLength);
  bytes.writeUInt32BE(start, 0);
  bytes.writeUInt32BE(end, 4);
  bytes.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), SPAN_BYTES);
  return bytes;
}

/** @throws OpenError when the bytes hold no whole vector */
export function decodeEmbedding(bytes: Buffer): ChunkEmbedding {
  if (bytes.length <= SPAN_BYTES || (bytes.length - SPAN_BYTES) % 4 !== 0) throw new OpenError();
  const vector = new Uint8Array(bytes.subarray(SPAN_BYTES));
  return { start: bytes.readUInt32BE(0), end: bytes.readUInt32BE(4), vector: new Float32Array(vector.buffer, vector.byteOffset, vector.length / 4) };
}
