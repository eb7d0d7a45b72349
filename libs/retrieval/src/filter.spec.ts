import { matches, type Attributes, type Filter } from "./filter.js";

const FULL: Attributes = { tags: ["home", "work"], source: "slack" };
const BARE: Attributes = { tags: [] };
const HOME: Filter = { field: "tags", op: "contains", value: "home" };
const SLACK: Filter = { field: "source", op: "eq", value: "slack" };

describe("matches", () => {
  // [filter, of a memory with tags home and work and source slack, of one with neither]
  it.each<[Filter, boolean, boolean]>([
    [HOME, true, false],
    [{ field: "tags", op: "contains", value: "hom" }, false, false],
    [{ field: "tags", op: "exists", value: true }, true, false],
    [{ field: "tags", op: "exists", value: false }, false, true],
    [SLACK, true, false],
    [{ field: "source", op: "eq", value: "Slack" }, false, false],
    [{ field: "source", op: "in", value: ["mail", "slack"] }, true, false],
    [{ field: "source", op: "in", value: [] }, false, false],
    [{ field: "source", op: "exists", value: true }, true, false],
    [{ field: "source", op: "exists", value: false }, false, true],
    [{ and: [HOME, SLACK] }, true, false],
    [{ and: [HOME, { not: SLACK }] }, false, false],
    [{ or: [{ not: HOME }, { not: SLACK }] }, false, true],
    [{ not: SLACK }, false, true],
    [{ and: [] }, true, true],
    [{ or: [] }, false, false],
  ])("%j: %s for a memory that has it all, %s for a bare one", (filter, full, bare) => {
    expect(matches(filter, FULL)).toBe(full);
    expect(matches(filter, BARE)).toBe(bare);
  });
});
