import { firstWithin } from "./answer-bytes.js";

const row = (text: number, meta = 0) => ({ textCipher: Buffer.alloc(text), metaCipher: Buffer.alloc(meta) });

describe("the first rows within a number of bytes", () => {
  it.each([
    ["are all that fit together, to the byte", [row(40, 10), row(30, 20), row(1)], 2],
    ["end before the first that does not fit, whatever comes after it", [row(40), row(90), row(1)], 1],
    ["are one at least, however large", [row(1_000), row(1)], 1],
    ["are none of none", [], 0],
  ])("%s", (_what, rows, fit) => {
    expect(firstWithin(rows, 100)).toEqual(rows.slice(0, fit));
  });

  it("are all where all fit", () => {
    const rows = [row(50), row(50)];
    expect(firstWithin(rows, 100)).toHaveLength(2);
  });
});
