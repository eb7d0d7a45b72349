import type * as wire from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { parseDeleteMany, parseList, parseMemoryRef } from "./selection-to-domain.js";
import { faultOf } from "./testing.js";

const ID = "01890a5d-ac96-774b-bcce-b302099a8057";
const SLACK: wire.Filter = { kind: { $case: "condition", value: { field: "source", op: "eq", value: "slack" } } };
const deleteMany = (parts: Partial<wire.DeleteManyRequest>) => () => parseDeleteMany({ ids: [], all: false, dryRun: false, ...parts });

describe("parseMemoryRef", () => {
  it("takes a UUID in either case and refuses what is none", () => {
    const id = ID.toUpperCase();
    expect(parseMemoryRef({ id })).toEqual({ id: ID });
    for (const bad of ["", "1", `${id} `, id.replaceAll("-", ""), `{${id}}`, id.replace("A", "G")]) expect(faultOf(() => parseMemoryRef({ id: bad }))).toBe("id");
  });
});

describe("parseList", () => {
  it("lists 50 at a time unless told otherwise, 100 at most", () => {
    expect(parseList({})).toEqual({ limit: 50 });
    expect(parseList({ limit: 100, cursor: "c", filters: SLACK, userId: "ada" })).toEqual({
      limit: 100, cursor: "c", filter: { field: ["source"], op: "eq", value: "slack" }, userId: "ada",
    });
  });

  it.each<[string, wire.ListRequest]>([
    ["limit", { limit: 0 }],
    ["limit", { limit: LIMITS.listPage + 1 }],
    ["cursor", { cursor: "" }],
    ["cursor", { cursor: "c".repeat(LIMITS.cursorCharacters + 1) }],
    ["filters", { filters: { kind: undefined } }],
    ["user_id", { userId: "" }],
  ])("refuses a fault in %s", (field, message) => {
    expect(faultOf(() => parseList(message))).toBe(field);
  });
});

describe("parseDeleteMany", () => {
  it("takes one way to say which", () => {
    expect(deleteMany({ ids: [ID, ID.toUpperCase()] })()).toEqual({ selection: { ids: [ID] }, dryRun: false });
    expect(deleteMany({ key: "doc-1", dryRun: true })()).toEqual({ selection: { key: "doc-1" }, dryRun: true });
    expect(deleteMany({ filters: SLACK })()).toEqual({ selection: { filter: { field: ["source"], op: "eq", value: "slack" } }, dryRun: false });
    expect(deleteMany({ all: true, userId: "ada" })()).toEqual({ selection: { all: true }, dryRun: false, userId: "ada" });
  });

  it("refuses to guess which: none named is not all, and two are not one", () => {
    for (const parts of [{}, { dryRun: true }, { userId: "ada" }]) expect(faultOf(deleteMany(parts))).toBe("request");
    const ways: Partial<wire.DeleteManyRequest>[] = [{ ids: [ID] }, { key: "k" }, { filters: SLACK }, { all: true }];
    for (const [i, one] of ways.entries()) for (const other of ways.slice(i + 1)) expect(faultOf(deleteMany({ ...one, ...other }))).toBe("request");
  });

  it.each<[string, Partial<wire.DeleteManyRequest>]>([
    ["ids[1]", { ids: [ID, "7"] }],
    ["ids", { ids: Array<string>(LIMITS.memoriesPerCall + 1).fill(ID) }],
    ["key", { key: "" }],
    ["filters", { filters: { kind: undefined } }],
    ["user_id", { all: true, userId: "\0" }],
  ])("refuses a fault in %s", (field, parts) => {
    expect(faultOf(deleteMany(parts))).toBe(field);
  });
});
