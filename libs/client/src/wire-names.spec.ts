import fc from "fast-check";
import { filtersToWire, fromWire, toWire } from "./wire-names.js";

const name = fc.stringMatching(/^[a-z][a-z0-9]{0,5}([A-Z][a-z0-9]{0,5}){0,2}$/).filter((text) => text !== "metadata");

describe("names", () => {
  it("come back as they went out, and those of metadata are never touched", () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof({ maxDepth: 3 }, fc.string(), fc.integer(), fc.constant(null), fc.array(tie("any"), { maxLength: 3 }), fc.dictionary(name, tie("any"), { maxKeys: 3 })),
    })).any;
    fc.assert(fc.property(fc.dictionary(name, value, { maxKeys: 4 }), fc.jsonValue().map((json) => JSON.parse(JSON.stringify(json)) as unknown), (fields, json) => {
      const metadata = { snake_case: json, camelCase: json, metadata: { aB: 1 } };
      const wire = toWire({ ...fields, metadata }) as Record<string, unknown>;
      expect(wire["metadata"]).toEqual(metadata);
      expect(Object.keys(wire).every((key) => !/[A-Z]/.test(key))).toBe(true);
      expect(fromWire(wire)).toEqual({ ...fields, metadata });
    }));
  });

  it("of fields in a filter are translated, and nothing else of it", () => {
    expect(filtersToWire({ updatedAt: { gte: new Date(0) }, "metadata.aB": { in: ["cD"] }, tags: { contains: "eF" }, AND: [{ key: { exists: true } }, { expiresAt: "t" }], OR: undefined })).toEqual({
      updated_at: { gte: "1970-01-01T00:00:00.000Z" }, "metadata.aB": { in: ["cD"] }, tags: { contains: "eF" }, AND: [{ key: { exists: true } }, { expires_at: "t" }],
    });
  });
});
