import { MAX_DIMENSION } from "@memseal/retrieval";
import fc from "fast-check";
import { LIMITS } from "./limits.js";
import { decodeVector, encodeVector } from "./vector.js";

describe("a vector on the wire", () => {
  it("is little-endian float32 and comes back as it went, wherever its bytes start", () => {
    expect(encodeVector(Float32Array.of(1, -2)).toString("hex")).toBe("0000803f000000c0");
    const values = fc.float32Array({ minLength: 1, maxLength: 8, noNaN: true, min: -(2 ** 60), max: 2 ** 60 });
    fc.assert(fc.property(values.filter((vector) => vector.some((value) => value * value !== 0)), fc.nat(3), (vector, offset) => {
      const bytes = Buffer.concat([Buffer.alloc(offset), encodeVector(vector)]).subarray(offset);
      expect(decodeVector(bytes, "vector")).toEqual(vector);
    }));
  });

  it("has at most as many values as an index takes", () => {
    expect(LIMITS.vectorDimensions).toBe(MAX_DIMENSION);
    expect(decodeVector(encodeVector(new Float32Array(MAX_DIMENSION).fill(1)), "vector")).toHaveLength(MAX_DIMENSION);
    expect(() => decodeVector(encodeVector(new Float32Array(MAX_DIMENSION + 1).fill(1)), "vector")).toThrow("at most 4096 values");
  });

  it("owns its memory on both sides", () => {
    const vector = Float32Array.of(1, 2);
    const bytes = encodeVector(vector.subarray(1));
    const decoded = decodeVector(bytes, "vector");
    vector[1] = 9;
    bytes.fill(0);
    expect(decoded).toEqual(Float32Array.of(2));
  });
});
