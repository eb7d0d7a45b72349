import fc from "fast-check";
import { fieldsOf, matches, type Fields, type Filter } from "./filter.js";

const MAY = Date.UTC(2023, 4, 8);
const FULL: Fields = {
  id: "0190a5d0-0000-7000-8000-000000000000",
  source: "Slack",
  tags: ["home", "work"],
  occurred_at: MAY,
  metadata: { stars: 4, city: "Zürich", tags: ["A", 7, null], done: false, nothing: null, empty: [], trip: { days: "10", "a.b": 1 } },
};
const BARE: Fields = { tags: [], metadata: {} };
const source = (op: "eq" | "ne" | "contains", value: string): Filter => ({ field: ["source"], op, value });
const metadata = (path: string, rest: object) => ({ field: ["metadata", ...path.split(".")], ...rest }) as unknown as Filter;
const HOME: Filter = { field: ["tags"], op: "contains", value: "home" };

describe("matches", () => {
  // [filter, of the full memory above, of one that has none of the fields]
  it.each<[Filter, boolean, boolean]>([
    [source("eq", "Slack"), true, false],
    [source("eq", "slack"), false, false],
    [source("ne", "mail"), true, false],
    [source("ne", "Slack"), false, false],
    [source("contains", "lac"), true, false],
    [source("contains", "LAC"), false, false],
    [{ field: ["source"], op: "icontains", value: "LAC" }, true, false],
    [{ field: ["source"], op: "in", value: ["mail", "Slack"] }, true, false],
    [{ field: ["source"], op: "nin", value: ["mail"] }, true, false],
    [{ field: ["source"], op: "nin", value: ["mail", "Slack"] }, false, false],
    [{ field: ["source"], op: "gte", value: "Slack" }, true, false],
    [{ field: ["source"], op: "exists", value: true }, true, false],
    [{ field: ["source"], op: "exists", value: false }, false, true],
    [HOME, true, false],
    [{ field: ["tags"], op: "contains", value: "hom" }, false, false],
    [{ field: ["tags"], op: "icontains", value: "HOME" }, true, false],
    [{ field: ["tags"], op: "icontains", value: "hom" }, false, false],
    [{ field: ["tags"], op: "exists", value: true }, true, false],
    [{ field: ["tags"], op: "exists", value: false }, false, true],
    [{ field: ["occurred_at"], op: "gt", value: MAY - 1 }, true, false],
    [{ field: ["occurred_at"], op: "gt", value: MAY }, false, false],
    [{ field: ["occurred_at"], op: "lte", value: MAY }, true, false],
    [metadata("stars", { op: "eq", value: 4 }), true, false],
    [metadata("stars", { op: "eq", value: "4" }), false, false],
    [metadata("stars", { op: "ne", value: "4" }), true, false],
    [metadata("stars", { op: "gt", value: "3" }), false, false],
    [metadata("stars", { op: "lt", value: 4.5 }), true, false],
    [metadata("trip.days", { op: "gt", value: 9 }), false, false],
    [metadata("trip.days", { op: "lt", value: "9" }), true, false],
    [metadata("trip", { op: "exists", value: true }), true, false],
    [metadata("trip", { op: "eq", value: "10" }), false, false],
    [metadata("trip.a.b", { op: "exists", value: true }), false, false],
    [metadata("city", { op: "icontains", value: "ZÜ" }), true, false],
    [metadata("tags", { op: "contains", value: 7 }), true, false],
    [metadata("tags", { op: "contains", value: "7" }), false, false],
    [metadata("tags", { op: "contains", value: null }), true, false],
    [metadata("tags", { op: "icontains", value: "a" }), true, false],
    [metadata("tags", { op: "eq", value: "A" }), false, false],
    [metadata("tags.0", { op: "exists", value: true }), false, false],
    [metadata("done", { op: "eq", value: false }), true, false],
    [metadata("done", { op: "in", value: [0, "false", null] }), false, false],
    [metadata("nothing", { op: "eq", value: null }), true, false],
    [metadata("nothing", { op: "exists", value: true }), true, false],
    [metadata("empty", { op: "exists", value: false }), true, true],
    [metadata("constructor", { op: "exists", value: true }), false, false],
    [metadata("__proto__", { op: "exists", value: true }), false, false],
    [{ and: [HOME, source("eq", "Slack")] }, true, false],
    [{ and: [HOME, { not: source("eq", "Slack") }] }, false, false],
    [{ or: [{ not: HOME }, { not: source("eq", "Slack") }] }, false, true],
    [{ not: source("eq", "Slack") }, false, true],
    [{ and: [] }, true, true],
    [{ or: [] }, false, false],
  ])("%j: %s for a memory that has it all, %s for a bare one", (filter, full, bare) => {
    expect(matches(filter, FULL)).toBe(full);
    expect(matches(filter, BARE)).toBe(bare);
  });

  it("agrees with the rules written down one by one, for any filter and any memory", () => {
    fc.assert(fc.property(filters, memories, (filter, fields) => {
      expect(matches(filter, fields)).toBe(naively(filter, fields));
    }), { numRuns: 5_000 });
  });
});

describe("fieldsOf", () => {
  it("names each field once, wherever it stands", () => {
    const filter: Filter = { or: [HOME, { not: metadata("a.b", { op: "exists", value: true }) }, { and: [HOME, metadata("a.b", { op: "eq", value: 1 }), source("eq", "x")] }] };
    expect(fieldsOf(filter)).toEqual([["tags"], ["metadata", "a", "b"], ["source"]]);
  });
});

// Few names and few values, so that they often meet.
const NAMES = ["a", "b", "constructor"];
const scalar = fc.constantFrom("a", "A", "ab", "b", "", 0, 1, -0, 2.5, true, false, null);
const text = fc.constantFrom("a", "A", "ab", "B");
const path = fc.oneof(fc.constantFrom(["source"], ["tags"], ["occurred_at"]), fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }).map((names) => ["metadata", ...names]));
const leaf = fc.oneof(
  fc.record({ field: path, op: fc.constantFrom("eq" as const, "ne" as const, "contains" as const), value: scalar }),
  fc.record({ field: path, op: fc.constantFrom("gt" as const, "gte" as const, "lt" as const, "lte" as const), value: fc.constantFrom("a", "b", 0, 1, 2) }),
  fc.record({ field: path, op: fc.constantFrom("in" as const, "nin" as const), value: fc.array(scalar, { maxLength: 3 }) }),
  fc.record({ field: path, op: fc.constant("icontains" as const), value: text }),
  fc.record({ field: path, op: fc.constant("exists" as const), value: fc.boolean() }),
);
const filters = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.record({ and: fc.array(tie("filter"), { maxLength: 2 }) }),
    fc.record({ or: fc.array(tie("filter"), { maxLength: 2 }) }),
    fc.record({ not: tie("filter") }),
  ),
})).filter;
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof({ depthSize: "small" }, scalar, fc.array(scalar, { maxLength: 3 }), fc.dictionary(fc.constantFrom(...NAMES), tie("value"), { maxKeys: 3 })),
})).value;
const memories = fc.record(
  { source: text, tags: fc.array(text, { maxLength: 2 }), occurred_at: fc.nat(2), metadata: fc.dictionary(fc.constantFrom(...NAMES), json, { maxKeys: 3 }) },
  { requiredKeys: [] },
);

/** Sets of values by JSON text: slow, and with nothing in common with the implementation but the rules. */
function naively(filter: Filter, fields: Fields): boolean {
  if ("and" in filter) return !filter.and.map((part) => naively(part, fields)).includes(false);
  if ("or" in filter) return filter.or.map((part) => naively(part, fields)).includes(true);
  if ("not" in filter) return !naively(filter.not, fields);
  const flat = new Map<string, unknown>();
  const walk = (value: unknown, at: string[]): void => {
    if (value === undefined || JSON.stringify(value) === "[]") return;
    flat.set(at.join("/"), value);
    if (JSON.stringify(value).startsWith("{")) for (const [name, inner] of Object.entries(value as object)) walk(inner, [...at, name]);
  };
  for (const [name, value] of Object.entries(fields)) walk(value, [name]);
  const name = filter.field.join("/");
  if (filter.op === "exists") return flat.has(name) === filter.value;
  if (!flat.has(name)) return false;
  const value = flat.get(name);
  const typed = (one: unknown) => JSON.stringify(one);
  const lower = (one: unknown) => (typeof one === "string" ? one.toLowerCase() : one);
  const isOrdered = (test: (sign: number) => boolean) =>
    typeof value === typeof filter.value && test((value as number) < (filter.value as number) ? -1 : (value as number) > (filter.value as number) ? 1 : 0);
  const isIn = (one: unknown, list: readonly unknown[]) => list.map(typed).includes(typed(one));
  switch (filter.op) {
    case "eq": return typed(value) === typed(filter.value);
    case "ne": return typed(value) !== typed(filter.value);
    case "gt": return isOrdered((sign) => sign > 0);
    case "gte": return isOrdered((sign) => sign >= 0);
    case "lt": return isOrdered((sign) => sign < 0);
    case "lte": return isOrdered((sign) => sign <= 0);
    case "in": return isIn(value, filter.value);
    case "nin": return !isIn(value, filter.value);
    case "contains": return Array.isArray(value) ? isIn(filter.value, value) : typeof value === "string" && typeof filter.value === "string" && value.split(filter.value).length > (filter.value === "" ? -1 : 1);
    case "icontains": return Array.isArray(value) ? isIn(lower(filter.value), value.map(lower)) : typeof value === "string" && value.toLowerCase().split(filter.value.toLowerCase()).length > 1;
  }
}
