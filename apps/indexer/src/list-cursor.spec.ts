import fc from "fast-check";
import { decodeCursor, encodeCursor } from "./list-cursor.js";

describe("list cursor", () => {
  it("comes back as the id it was made of", () => {
    fc.assert(fc.property(fc.uuid(), (id) => {
      expect(decodeCursor(encodeCursor(id))).toBe(id);
    }));
  });

  it("is refused unless it was made here, with one typed error", () => {
    fc.assert(fc.property(fc.string(), (text) => {
      fc.pre(!/^[\w-]{21}[AQgw]$/.test(text));
      expect(() => decodeCursor(text)).toThrow("next_cursor of an earlier page");
    }));
    expect(() => decodeCursor(`${encodeCursor("0190a5d0-0000-7000-8000-000000000000")}=`)).toThrow("next_cursor");
  });
});
