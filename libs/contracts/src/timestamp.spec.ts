import fc from "fast-check";
import { fromTimestamp, toTimestamp } from "./timestamp.js";

describe("a time on the wire", () => {
  it("comes back as it went, before 1970 too", () => {
    expect(toTimestamp(new Date(-1))).toEqual({ seconds: -1n, nanos: 999_000_000 });
    const dates = fc.date({ min: new Date("0001-01-01T00:00:00.000Z"), max: new Date("9999-12-31T23:59:59.999Z"), noInvalidDate: true });
    fc.assert(fc.property(dates, (date) => {
      expect(fromTimestamp(toTimestamp(date), "at")).toEqual(date);
    }));
  });

  it.each([
    { seconds: -62_135_596_801n, nanos: 0 },
    { seconds: 253_402_300_800n, nanos: 0 },
    { seconds: 0n, nanos: -1 },
    { seconds: 0n, nanos: 1_000_000_000 },
  ])("is refused outside the years 1 to 9999", (at) => {
    expect(() => fromTimestamp(at, "occurred_at")).toThrow(/^occurred_at: /);
  });
});
