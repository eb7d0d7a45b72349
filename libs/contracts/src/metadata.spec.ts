import { InvalidArgumentError } from "@memseal/errors";
import fc from "fast-check";
import { LIMITS } from "./limits.js";
import { filterableMetadata, parseMetadata } from "./metadata.js";

const depthOf = (value: unknown): number =>
  typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;
const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });
const faultOf = (value: unknown): string | undefined => {
  try {
    parseMetadata(value, "metadata");
    return undefined;
  } catch (error) {
    return (error as InvalidArgumentError).field;
  }
};

describe("parseMetadata", () => {
  it("keeps JSON as it is, frozen throughout", () => {
    const metadata = parseMetadata({ a: [1, null, { b: true }], "": "x", constructor: "y" }, "metadata");
    expect(metadata).toEqual({ a: [1, null, { b: true }], "": "x", constructor: "y" });
    expect(Object.isFrozen(metadata) && Object.isFrozen(metadata["a"])).toBe(true);
  });

  it("takes 10,240 bytes and 32 levels, and not one more", () => {
    const sized = (bytes: number) => ({ a: "x".repeat(bytes - '{"a":""}'.length) });
    expect(faultOf(sized(LIMITS.metadataBytes))).toBeUndefined();
    expect(faultOf(sized(LIMITS.metadataBytes + 1))).toBe("metadata");
    expect(faultOf(nested(LIMITS.jsonDepth))).toBeUndefined();
    expect(faultOf(nested(LIMITS.jsonDepth + 1))).toBe(`metadata${".a".repeat(LIMITS.jsonDepth)}`);
  });

  it("refuses a million levels without running out of stack", () => {
    expect(faultOf(JSON.parse(`{"a":${"[".repeat(1e6)}${"]".repeat(1e6)}}`))).toBe(`metadata.a${"[0]".repeat(LIMITS.jsonDepth - 1)}`);
  });

  it.each([
    ["a number that JSON has no word for", { a: { b: [0, Infinity] } }, "metadata.a.b[1]"],
    ["NaN", { a: NaN }, "metadata.a"],
    ["NUL", { a: "x\0" }, "metadata.a"],
    ["a lone surrogate", { a: "\ud800" }, "metadata.a"],
    ["a lone surrogate in a name, which is not repeated back", { "\udc00": 1 }, "metadata.*"],
    ["a hole", { a: new Array(1) }, "metadata.a[0]"],
    ["what is not JSON", { a: new Date(0) }, "metadata.a"],
    ["no object", [1], "metadata"],
  ])("refuses %s", (_, value, field) => {
    expect(faultOf(value)).toBe(field);
  });

  it("refuses the name __proto__ and leaves every prototype alone", () => {
    expect(faultOf(JSON.parse('{"a":{"__proto__":{"polluted":true}}}'))).toBe("metadata.a.__proto__");
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it("gives back equal JSON within the limits, or refuses with its own error", () => {
    fc.assert(fc.property(fc.oneof(fc.jsonValue(), fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true })), (value) => {
      try {
        const metadata = parseMetadata(value, "metadata");
        expect(JSON.stringify(metadata)).toBe(JSON.stringify(value));
        expect(Buffer.byteLength(JSON.stringify(metadata))).toBeLessThanOrEqual(LIMITS.metadataBytes);
        expect(depthOf(metadata)).toBeLessThanOrEqual(LIMITS.jsonDepth);
      } catch (error) {
        if (!(error instanceof InvalidArgumentError)) throw error;
      }
    }), { numRuns: 500 });
  });
});

describe("filterableMetadata", () => {
  const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
  const essay = "x".repeat(LIMITS.filterableBytes);

  it("leaves out the largest members, wherever they stand, and names them", () => {
    expect(filterableMetadata({ essay, stars: 4, trip: { city: "Zürich" } })).toEqual({ kept: { stars: 4, trip: { city: "Zürich" } }, leftOut: ["essay"] });
  });

  it("keeps what has exactly 4,096 bytes, and not one more", () => {
    const sized = (size: number) => ({ a: 1, b: [2], c: "x".repeat(size - bytes({ a: 1, b: [2], c: "" })) });
    expect(filterableMetadata(sized(LIMITS.filterableBytes)).leftOut).toEqual([]);
    expect(filterableMetadata(sized(LIMITS.filterableBytes + 1)).leftOut).toEqual(["c"]);
  });

  it("keeps or names every member, and keeps no more than fits", () => {
    const members = fc.dictionary(fc.string(), fc.oneof(fc.jsonValue(), fc.string({ minLength: 500, maxLength: 3_000 })), { noNullPrototype: true });
    fc.assert(fc.property(members, (metadata) => {
      const { kept, leftOut } = filterableMetadata(metadata);
      expect(bytes(kept)).toBeLessThanOrEqual(LIMITS.filterableBytes);
      expect([...Object.keys(kept), ...leftOut].sort()).toEqual(Object.keys(metadata).sort());
      for (const [name, value] of Object.entries(kept)) expect(value).toBe(metadata[name]);
      if (bytes(metadata) <= LIMITS.filterableBytes) expect(leftOut).toEqual([]);
    }));
  });
});
