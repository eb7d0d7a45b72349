import { printable, progressLine, table } from "./terminal.js";

describe("what a terminal is shown", () => {
  it("holds nothing that moves its cursor, changes its colours, or turns its text around", () => {
    expect(printable("a\x1b[2J\r\nb\u202ec\u009b31md\u2028e")).toBe("a [2J b c 31md e");
  });

  it("is a table as wide as its widest cells", () => {
    expect(table([["rank", "score", "memory"], ["1", "10.250", "walnuts"]], { right: [0, 1] })).toBe("rank   score  memory\n   1  10.250  walnuts");
  });

  it("says how far a work is, and how fast", () => {
    expect(progressLine({ done: 50, total: 100, unit: "memories", rate: 12.4 })).toBe(`[${"#".repeat(15)}${".".repeat(15)}] 50 of 100 memories, 12 a second`);
    expect(progressLine({ done: 0, total: 0, unit: "memories", rate: 0 })).toContain("#".repeat(30));
    expect(progressLine({ done: 7, total: undefined, unit: "memories", rate: 3 })).toBe("7 memories, 3 a second");
  });
});
