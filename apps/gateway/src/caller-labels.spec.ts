import { parseUserHash } from "@memseal/crypto";
import { CallerLabels } from "./caller-labels.js";

const [ada, bob] = [parseUserHash("a".repeat(64)), parseUserHash("b".repeat(64))];

describe("a caller's label", () => {
  it("is the same for a user's calls, another for another's, and a new one a minute later", () => {
    let now = 1;
    const labels = new CallerLabels(() => now);
    const first = labels.labelOf(ada);
    now += 59_000;
    expect(labels.labelOf(ada)).toBe(first);
    expect(labels.labelOf(bob)).not.toBe(first);
    now += 2_000;
    expect(labels.labelOf(ada)).not.toBe(first);
  });

  it("says nothing of the user: another process gives another", () => {
    expect(new CallerLabels().labelOf(ada)).not.toBe(new CallerLabels().labelOf(ada));
    expect(new CallerLabels().labelOf(ada)).toMatch(/^[\w-]{16}$/);
  });
});
