import { parseOptions, USAGE } from "./options.js";

describe("parseOptions", () => {
  it("takes all data unless told otherwise", () => {
    expect(parseOptions([])).toEqual({ check: false, dataSets: ["locomo", "scifact"] });
    expect(parseOptions(["--data", "locomo", "--conversations", "0,2", "--questions", "5", "--json", "f"])).toEqual({
      check: false, dataSets: ["locomo"], conversations: [0, 2], questions: 5, json: "f",
    });
  });

  it.each([
    [["--data", "squad"]],
    [["--conversations", "0,x"]],
    [["--questions", "few"]],
    [["--check", "--data", "locomo"]],
    [["--check", "--questions", "1"]],
  ])("refuses %j and says how it is called", (args) => {
    expect(() => parseOptions(args)).toThrow(USAGE);
  });
});
