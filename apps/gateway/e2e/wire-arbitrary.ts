import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";

/** Messages within each other. */
const DEPTH = 5;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

interface WireValue {
  wireType: number;
  bytes: Buffer;
}

/** The bytes of a message of this type: any of its fields, any number of times; now and then a field nobody knows or of another type. */
export function wireMessage(message: DescMessage, depth = DEPTH): fc.Arbitrary<Buffer> {
  const own = message.fields.filter((field) => depth > 0 || field.message === undefined).map((field) => wireField(field, depth));
  const strange = fc.tuple(fc.constantFrom(1, 2, 3, 15, 16, 2_047, 536_870_911), anyValue).map(([number, value]) => tagged(number, value));
  const field = own.length === 0 ? strange : fc.oneof({ weight: 20, arbitrary: fc.oneof(...own) }, { weight: 1, arbitrary: strange });
  return fc.array(field, { maxLength: 6 }).map((fields) => Buffer.concat(fields));
}

/** Bytes that are no message, or one cut short, or nested far deeper than any is. */
export function wireNoise(message: DescMessage): fc.Arbitrary<Buffer> {
  return fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.tuple(wireMessage(message), fc.nat()).map(([bytes, at]) => bytes.subarray(0, at % (bytes.length + 1))),
    fc.tuple(wireMessage(message), fc.nat(), fc.nat(255)).map(([bytes, at, value]) => Buffer.from(bytes.map((byte, i) => (i === at % bytes.length ? value : byte)))),
    fc.tuple(fc.integer({ min: 1, max: 15 }), fc.constantFrom(40, 1_000, 20_000)).map(([number, depth]) => nested(number, depth)),
  );
}

function wireField(field: DescField, depth: number): fc.Arbitrary<Buffer> {
  const value = field.message === undefined ? scalar(field.scalar) : wireMessage(field.message, depth - 1).map((bytes): WireValue => ({ wireType: LENGTH, bytes: delimited(bytes) }));
  return value.map((one) => tagged(field.number, one));
}

function scalar(type: ScalarType | undefined): fc.Arbitrary<WireValue> {
  switch (type) {
    case ScalarType.STRING:
      return fc.oneof(
        { weight: 6, arbitrary: fc.string({ unit: "grapheme", maxLength: 30 }).map((text) => Buffer.from(text)) },
        { weight: 3, arbitrary: fc.constantFrom("id", "eq", "in", "exists", "contains", "source", "tags", "occurred_at", "metadata.a", "2023-05-08T13:56:00Z", "01890a5d-ac96-774b-bcce-b302099a8057", "read", "hybrid", "role").map((text) => Buffer.from(text)) },
        { weight: 1, arbitrary: fc.constantFrom(Buffer.from([0xff, 0xfe]), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from([0]), Buffer.alloc(200_001, "a")) },
      ).map((bytes) => ({ wireType: LENGTH, bytes: delimited(bytes) }));
    case ScalarType.BYTES:
      return fc.oneof(fc.uint8Array({ maxLength: 24 }).map((bytes) => Buffer.from(bytes)), fc.array(fc.float(), { maxLength: 8 }).map((floats) => Buffer.from(Float32Array.from(floats).buffer)))
        .map((bytes) => ({ wireType: LENGTH, bytes: delimited(bytes) }));
    case ScalarType.DOUBLE:
      return fc.double().map((value) => {
        const bytes = Buffer.alloc(8);
        bytes.writeDoubleLE(value);
        return { wireType: FIXED64, bytes };
      });
    default:
      return fc.oneof(fc.nat({ max: 120 }).map(BigInt), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })).map((value) => ({ wireType: VARINT, bytes: varint(value) }));
  }
}

const anyValue: fc.Arbitrary<WireValue> = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 70n }).map((value) => ({ wireType: VARINT, bytes: varint(value) })),
  fc.uint8Array({ maxLength: 12 }).map((bytes) => ({ wireType: LENGTH, bytes: delimited(Buffer.from(bytes)) })),
  fc.constant({ wireType: FIXED64, bytes: Buffer.alloc(8, 0xff) }),
  fc.constant({ wireType: FIXED32, bytes: Buffer.alloc(4, 0xff) }),
  // Groups, and wire types that do not exist.
  fc.constantFrom(3, 4, 6, 7).map((wireType) => ({ wireType, bytes: Buffer.alloc(2) })),
);

function tagged(number: number, { wireType, bytes }: WireValue): Buffer {
  return Buffer.concat([varint(BigInt(number * 8 + wireType)), bytes]);
}

function delimited(bytes: Buffer): Buffer {
  return Buffer.concat([varint(BigInt(bytes.length)), bytes]);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
  return Buffer.from([...bytes, Number(left)]);
}

function nested(number: number, depth: number): Buffer {
  // Written from the inside, each tag and length before what is there: once, at the end.
  const heads: Buffer[] = [];
  let length = 0;
  for (let i = 0; i < depth; i++) {
    const head = Buffer.concat([varint(BigInt(number * 8 + LENGTH)), varint(BigInt(length))]);
    heads.push(head);
    length += head.length;
  }
  return Buffer.concat(heads.reverse());
}
