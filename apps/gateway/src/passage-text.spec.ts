import { toTimestamp, type Memory } from "@memseal/contracts";
import { passageText } from "./passage-text.js";

const memory = (parts: Partial<Memory>): Memory => ({
  id: "i", text: "whole", tags: [], metadata: undefined, occurredAt: undefined, createdAt: undefined, updatedAt: undefined, version: 1, ...parts,
});
const occurredAt = toTimestamp(new Date("2023-05-08T23:59:59Z"));

describe("passageText", () => {
  it.each<[Partial<Memory>, string]>([
    [{ occurredAt, role: "Caroline", source: "chat" }, "[8 May 2023] Caroline: I adopted a dog"],
    [{ occurredAt, source: "notes" }, "[8 May 2023] notes: I adopted a dog"],
    [{ occurredAt }, "[8 May 2023] I adopted a dog"],
    [{ role: "Caroline" }, "Caroline: I adopted a dog"],
    [{}, "I adopted a dog"],
  ])("of %j reads %s", (parts, expected) => {
    expect(passageText(memory(parts), "I adopted a dog")).toBe(expected);
  });

  it("names the day in UTC, wherever it runs", () => {
    expect(passageText(memory({ occurredAt: toTimestamp(new Date("2024-01-01T00:00:00Z")) }), "x")).toBe("[1 January 2024] x");
  });

  it("of a long passage is its beginning, whole code points, short enough for the reranker", () => {
    const text = passageText(memory({ occurredAt }), `x${"😀".repeat(50_000 - 1)}`) ?? "";
    expect(Array.from(text)).toHaveLength(4_000);
    expect(text.isWellFormed()).toBe(true);
    expect(text.startsWith("[8 May 2023] x😀")).toBe(true);
  });

  it("of a passage behind much space is what comes after it", () => {
    expect(passageText(memory({ role: "Ada" }), `${"\n ".repeat(9_000)}the answer`)).toBe("Ada: the answer");
  });

  it.each(["", " ", "\n\t\u00a0\u3000"])("of %j is none: there is nothing to score", (text) => {
    expect(passageText(memory({ occurredAt, role: "Caroline" }), text)).toBeUndefined();
  });
});
