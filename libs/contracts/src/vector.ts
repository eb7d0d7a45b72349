import { InvalidArgumentError } from "@memseal/errors";
import { LIMITS } from "./limits.js";

/** Little-endian float32, the form of every vector on the wire and at rest. */
export function encodeVector(vector: Float32Array): Buffer {
  return Buffer.from(vector.buffer.slice(vector.byteOffset, vector.byteOffset + vector.byteLength));
}

/**
 * bytes: little-endian float32[dim]; returns a copy that owns its memory.
 * @throws InvalidArgumentError when empty, cut short, too long, not finite or of zero length
 */
export function decodeVector(bytes: Uint8Array, field: string): Float32Array {
  if (bytes.byteLength === 0 || bytes.byteLength % 4 !== 0) {
    throw new InvalidArgumentError(field, "must be little-endian float32 values, 4 bytes each, at least one");
  }
  if (bytes.byteLength > 4 * LIMITS.vectorDimensions) throw new InvalidArgumentError(field, `must have at most ${LIMITS.vectorDimensions} values`);
  // A copy: the bytes may start anywhere in a network buffer, a Float32Array only at a multiple of 4.
  const vector = new Float32Array(new Uint8Array(bytes).buffer);
  let squares = 0;
  for (const value of vector) squares += value * value;
  if (!Number.isFinite(squares)) throw new InvalidArgumentError(field, "every value must be finite");
  if (squares === 0) throw new InvalidArgumentError(field, "must not be the zero vector");
  return vector;
}
