import fc from "fast-check";
import { fromRfc3339, toRfc3339 } from "./rfc3339.js";

const year1 = new Date("0001-01-01T00:00:00.000Z");
const year9999 = new Date("9999-12-31T23:59:59.999Z");

describe("RFC 3339 times", () => {
  it("come back as they went for every millisecond from year 1 to 9999", () => {
    fc.assert(fc.property(fc.date({ min: year1, max: year9999, noInvalidDate: true }), (date) => {
      const at = fromRfc3339(date.toISOString());
      expect(at && toRfc3339(at)).toBe(date.toISOString());
    }));
  });

  it.each([
    ["2023-05-08T13:56:00Z", "2023-05-08T13:56:00.000Z"],
    ["2023-05-08T13:56:00+02:00", "2023-05-08T11:56:00.000Z"],
    ["2023-05-08T23:30:00-05:30", "2023-05-09T05:00:00.000Z"],
    ["2024-02-29t00:00:00z", "2024-02-29T00:00:00.000Z"],
    ["1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"],
    ["0050-01-01T00:00:00Z", "0050-01-01T00:00:00.000Z"],
  ])("reads %s as %s", (text, same) => {
    const at = fromRfc3339(text);
    expect(at && toRfc3339(at)).toBe(same);
  });

  it("keeps nine digits of a second", () => {
    expect(fromRfc3339("1970-01-01T00:00:00.123456789Z")).toEqual({ seconds: 0n, nanos: 123_456_789 });
  });

  it.each([
    "2023-05-08", "2023-05-08T13:56:00", "2023-05-08 13:56:00Z", "2023-05-08T13:56Z", "8 May 2023", "1683554160", "",
    "2023-02-29T00:00:00Z", "2023-02-30T00:00:00Z", "2023-13-01T00:00:00Z", "2023-00-01T00:00:00Z", "2023-01-00T00:00:00Z",
    "2023-01-01T24:00:00Z", "2023-01-01T00:60:00Z", "2016-12-31T23:59:60Z", "2023-01-01T00:00:00+24:00", "2023-01-01T00:00:00.1234567890Z",
    "+12023-01-01T00:00:00Z", "2023-05-08T13:56:00Z\n",
  ])("does not guess what %j means", (text) => {
    expect(fromRfc3339(text)).toBeUndefined();
  });
});
