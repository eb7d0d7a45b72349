import { codePointSlicer } from "./code-points.js";

describe("codePointSlicer", () => {
  it.each([
    ["plain text", 2, 5, "ain"],
    ["a😀b😀c", 1, 4, "😀b😀"],
    ["😀", 0, 1, "😀"],
    ["éé", 1, 2, "é"],
    ["short", 2, 99, "ort"],
  ])("cuts %j by code points", (text, start, end, expected) => {
    expect(codePointSlicer(text)(start, end)).toBe(expected);
  });
});
