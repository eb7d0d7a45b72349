import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { filesUnder, LeakScan } from "./leak-scan.js";

const TEXT = "Zoë's \"walnut\"\n7719";
const VECTOR = Float32Array.from({ length: 8 }, (_value, i) => Math.sin(i + 1));
const BYTES = Buffer.from("00fe80c1b2a3948576e7", "hex");
const scan = new LeakScan({ text: TEXT, vector: VECTOR, bytes: BYTES });

const float32 = Buffer.from(VECTOR.buffer);
const WRITTEN: [form: string, needle: string, written: string | Buffer][] = [
  ["UTF-8", "text", TEXT],
  ["UTF-16, little-endian", "text", Buffer.from(TEXT, "utf16le")],
  ["UTF-16, big-endian", "text", Buffer.from(TEXT, "utf16le").swap16()],
  ["hex", "text", Buffer.from(TEXT).toString("hex")],
  ["upper-case hex", "text", Buffer.from(TEXT).toString("hex").toUpperCase()],
  ["percent-encoding", "text", new URL(`http://host/${encodeURIComponent(TEXT)}`).pathname],
  ["JSON", "text", JSON.stringify({ text: TEXT })],
  ["ASCII JSON", "text", '{"text":"Zo\\u00eb\'s \\"walnut\\"\\n7719"}'],
  ["float32", "vector", float32],
  ["hex of float32", "vector", float32.toString("hex")],
  ["base64 of float32", "vector", float32.toString("base64")],
  ["float64", "vector", Buffer.from(Float64Array.from(VECTOR).buffer)],
  ["a JSON array", "vector", JSON.stringify([...VECTOR])],
  ["bytes", "bytes", BYTES],
  ["hex of bytes", "bytes", BYTES.toString("hex")],
];

describe("a planted value", () => {
  it.each(WRITTEN)("is found as %s", (_form, needle, written) => {
    const haystack = Buffer.concat([randomBytes(100), Buffer.from(written as string), randomBytes(100)]);
    expect([...scan.inBytes(haystack)]).toEqual([needle]);
    expect([...scan.inBytes(Buffer.from(written as string))]).toEqual([needle]);
  });

  it("is found in the base64 of whatever it is part of, at each of the three offsets, in both alphabets", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), fc.constantFrom("base64" as const, "base64url" as const), fc.constantFrom("text", "bytes"), (before, after, alphabet, needle) => {
        const whole = Buffer.concat([before, needle === "text" ? Buffer.from(TEXT) : BYTES, after]);
        expect([...scan.inText(whole.toString(alphabet))]).toEqual([needle]);
      }),
    );
  });

  it("is found at any place of any bytes, and nothing is found where there is none", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), fc.constantFrom(...WRITTEN), (before, after, [, needle, written]) => {
        expect([...scan.inBytes(Buffer.concat([before, after]))]).toEqual([]);
        expect([...scan.inBytes(Buffer.concat([before, Buffer.from(written as string), after]))]).toEqual([needle]);
      }),
    );
  });

  it("is not found in all but its first or last character", () => {
    expect([...scan.inText(TEXT.slice(1))]).toEqual([]);
    expect([...scan.inText(TEXT.slice(0, -1))]).toEqual([]);
  });

  it("is found with every other that is there", () => {
    expect([...scan.inBytes(Buffer.concat(WRITTEN.map(([, , written]) => Buffer.from(written as string))))].sort()).toEqual(["bytes", "text", "vector"]);
  });

  it("is looked for only where it is long enough to mean anything", () => {
    expect(() => new LeakScan({ short: "walnuts" })).toThrow(RangeError);
  });
});

describe("in a file", () => {
  let dir: string;
  beforeAll(() => { dir = mkdtempSync(join(tmpdir(), "memseal-scan-")); });
  afterAll(() => { rmSync(dir, { recursive: true }); });

  it("a value is found wherever it lies across the pieces that are read", () => {
    const file = join(dir, "one");
    for (const piece of [1, 7, 64]) {
      for (let at = 0; at <= 2 * piece; at++) {
        writeFileSync(file, Buffer.concat([randomBytes(at), Buffer.from(TEXT), randomBytes(piece)]));
        expect({ piece, at, found: [...scan.inFile(file, piece)] }).toEqual({ piece, at, found: ["text"] });
      }
    }
  });

  it("values are told by file, and a file that is gone holds none", () => {
    const [with_, without] = [join(dir, "with"), join(dir, "without")];
    writeFileSync(with_, `..${TEXT}..`);
    writeFileSync(without, "....");
    rmSync(join(dir, "one"), { force: true });
    expect(filesUnder(dir).sort()).toEqual([with_, without]);
    expect([...scan.inFiles([with_, without, join(dir, "gone")])]).toEqual([[with_, new Set(["text"])]]);
  });
});
