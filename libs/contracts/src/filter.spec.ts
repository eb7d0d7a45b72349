import { matches, type Condition, type Fields, type Filter } from "@memseal/retrieval";
import fc from "fast-check";
import { filterFromJson } from "./filter-from-json.js";
import { parseFilter } from "./filter-to-domain.js";
import { Filter as FilterMessage } from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { faultOf } from "./testing.js";
import { toFilterMessage } from "./to-message.js";

function fromJson(json: Record<string, unknown>): Filter | undefined {
  const message = filterFromJson(json, "filters");
  return message && parseFilter(message, "filters");
}

const faultIn = (json: unknown) => faultOf(() => fromJson(json as Record<string, unknown>));
const AT = "2023-05-08T13:56:00.000Z";
const source = (op: "eq" | "contains", value: string): Filter => ({ field: ["source"], op, value });

// What a parsed filter can be.
const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).filter((s) => !s.includes("\0"));
const scalar = fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null));
const time = fc.date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true }).map((date) => date.getTime());
const EQUALITY = fc.constantFrom("eq" as const, "ne" as const);
const LISTS = fc.constantFrom("in" as const, "nin" as const);
const ORDER = fc.constantFrom("gt" as const, "gte" as const, "lt" as const, "lte" as const);
const listOf = <T>(value: fc.Arbitrary<T>) => fc.array(value, { minLength: 1, maxLength: 4 });
const strings = fc.constantFrom("id", "key", "agent_id", "run_id", "role", "source").map((name) => [name]);
const times = fc.constantFrom("occurred_at", "created_at", "updated_at", "expires_at").map((name) => [name]);
const metadata = fc.array(text.filter((name) => !name.includes(".")), { minLength: 1, maxLength: LIMITS.metadataPath }).map((names) => ["metadata", ...names]);
const conditions: fc.Arbitrary<Condition> = fc.oneof(
  ...([[strings, text], [times, time], [metadata, scalar]] as const).map(([field, value]) => fc.oneof(
    fc.record({ field, op: EQUALITY, value }),
    fc.record({ field, op: LISTS, value: listOf(value) }),
    fc.record({ field, op: fc.constant("exists" as const), value: fc.boolean() }),
  )),
  fc.record({ field: strings, op: ORDER, value: text }),
  fc.record({ field: times, op: ORDER, value: time }),
  fc.record({ field: metadata, op: ORDER, value: fc.oneof(text, fc.integer()) }),
  fc.record({ field: metadata, op: fc.constant("contains" as const), value: scalar }),
  fc.record({ field: fc.oneof(strings, metadata, fc.constant(["tags"])), op: fc.constantFrom("contains" as const, "icontains" as const), value: text }),
  fc.record({ field: fc.constant(["tags"]), op: fc.constant("exists" as const), value: fc.boolean() }),
);
const filters: fc.Arbitrary<Filter> = fc.letrec<{ filter: Filter; part: Filter; leaf: Filter }>((tie) => ({
  leaf: conditions,
  part: fc.oneof(
    fc.array(tie("filter"), { minLength: 1, maxLength: 3 }).map((and): Filter => ({ and })),
    fc.array(tie("filter"), { minLength: 1, maxLength: 3 }).map((or): Filter => ({ or })),
    tie("filter").map((not): Filter => ({ not })),
  ),
  filter: fc.oneof({ maxDepth: 3 }, tie("leaf"), tie("part")),
})).filter;

/** As a caller would write it. */
function toJson(filter: Filter): Record<string, unknown> {
  if ("and" in filter) return { AND: filter.and.map(toJson) };
  if ("or" in filter) return { OR: filter.or.map(toJson) };
  if ("not" in filter) return { NOT: toJson(filter.not) };
  const shown = (value: unknown): unknown => (filter.field[0]?.endsWith("_at") && typeof value === "number" ? new Date(value).toISOString() : value);
  return { [filter.field.join(".")]: { [filter.op]: Array.isArray(filter.value) ? filter.value.map(shown) : shown(filter.value) } };
}

describe("a filter in JSON", () => {
  it.each<[object, Filter]>([
    [{ source: "chat" }, source("eq", "chat")],
    [{ tags: { contains: "x" } }, { field: ["tags"], op: "contains", value: "x" }],
    [{ source: { in: ["a", "b"] } }, { field: ["source"], op: "in", value: ["a", "b"] }],
    [{ NOT: { tags: { exists: true } } }, { not: { field: ["tags"], op: "exists", value: true } }],
    [{ occurred_at: { gte: AT } }, { field: ["occurred_at"], op: "gte", value: Date.parse(AT) }],
    [{ created_at: { nin: [AT] } }, { field: ["created_at"], op: "nin", value: [Date.parse(AT)] }],
    [{ "metadata.trip.city": "Zürich" }, { field: ["metadata", "trip", "city"], op: "eq", value: "Zürich" }],
    [{ "metadata.x": null }, { field: ["metadata", "x"], op: "eq", value: null }],
    [{ "metadata.at": { gt: "2023-05-08" } }, { field: ["metadata", "at"], op: "gt", value: "2023-05-08" }],
    [{ "metadata.n": { in: [1, "1", true, null] } }, { field: ["metadata", "n"], op: "in", value: [1, "1", true, null] }],
    [
      { tags: { contains: "x" }, source: "chat", OR: [{ source: { exists: false } }] },
      { and: [{ field: ["tags"], op: "contains", value: "x" }, source("eq", "chat"), { or: [{ field: ["source"], op: "exists", value: false }] }] },
    ],
    [
      { "metadata.n": { gt: 1, lt: 3 } },
      { and: [{ field: ["metadata", "n"], op: "gt", value: 1 }, { field: ["metadata", "n"], op: "lt", value: 3 }] },
    ],
  ])("%j is read with bare values as eq and sibling keys as AND", (json, filter) => {
    expect(fromJson(json as Record<string, unknown>)).toEqual(filter);
  });

  it("is no filter when it is empty", () => {
    expect(fromJson({})).toBeUndefined();
  });

  it.each([
    [{ colour: "red" }, "filters.colour"],
    [{ constructor: "x" }, "filters.constructor"],
    [JSON.parse('{"__proto__": "x"}') as object, "filters.__proto__"],
    [{ metadata: { exists: true } }, "filters.metadata"],
    [{ "metadata.": "x" }, "filters.metadata."],
    [{ "metadata.a..b": "x" }, "filters.metadata.a..b"],
    [{ [`metadata${".a".repeat(LIMITS.metadataPath + 1)}`]: "x" }, `filters.metadata${".a".repeat(LIMITS.metadataPath + 1)}`],
    [{ "metadata.\ud800": "x" }, "filters.*"],
    [{ "metadata.a": { regex: "x" } }, "filters.metadata.a.regex"],
    [{ "metadata.a": ["x"] }, "filters.metadata.a"],
    [{ "metadata.a": { eq: { b: 1 } } }, "filters.metadata.a.eq"],
    [{ "metadata.a": { gt: true } }, "filters.metadata.a.gt"],
    [{ "metadata.a": { gt: null } }, "filters.metadata.a.gt"],
    [{ "metadata.a": { in: [[1]] } }, "filters.metadata.a.in[0]"],
    [{ "metadata.a": { icontains: 7 } }, "filters.metadata.a.icontains"],
    [{ "metadata.a": Infinity }, "filters.metadata.a"],
    [{ "some text that got here": "x" }, "filters.*"],
    [{ tags: "x" }, "filters.tags"],
    [{ tags: { in: ["x"] } }, "filters.tags.in"],
    [{ tags: { contains: "" } }, "filters.tags.contains"],
    [{ source: { in: [] } }, "filters.source.in"],
    [{ source: { in: Array(LIMITS.filterValues + 1).fill("a") } }, "filters.source.in"],
    [{ source: { in: ["a", 1] } }, "filters.source.in[1]"],
    [{ source: { gt: 1 } }, "filters.source.gt"],
    [{ source: "x".repeat(LIMITS.filterValueCharacters + 1) }, "filters.source"],
    [{ source: 1 }, "filters.source"],
    [{ source: null }, "filters.source"],
    [{ source: { exists: "true" } }, "filters.source.exists"],
    [{ tags: { contains: "x\0" } }, "filters.tags.contains"],
    [{ tags: {} }, "filters.tags"],
    [{ occurred_at: 1683554160 }, "filters.occurred_at"],
    [{ occurred_at: { gt: "8 May 2023" } }, "filters.occurred_at.gt"],
    [{ occurred_at: { gt: "0000-01-01T00:00:00Z" } }, "filters.occurred_at.gt"],
    [{ occurred_at: { contains: "2023" } }, "filters.occurred_at.contains"],
    [{ AND: [] }, "filters.AND"],
    [{ OR: {} }, "filters.OR"],
    [{ AND: [{ source: "a" }, {}] }, "filters.AND[1]"],
    [{ NOT: [{ source: "a" }] }, "filters.NOT"],
    [{ NOT: {} }, "filters.NOT"],
    [{ OR: [{ source: "a" }, { NOT: { tags: { contains: 1 } } }] }, "filters.OR[1].NOT.tags.contains"],
    [{ and: [{ source: "a" }] }, "filters.and"],
  ])("%j cannot be run and is refused at %s, never silently matched", (json, field) => {
    expect(faultIn(json)).toBe(field);
  });

  it("holds 64 conditions and 8 levels, and not one more", () => {
    const wide = (leaves: number) => ({ OR: Array.from({ length: leaves }, (_, i) => ({ source: `s${i}` })) });
    const deep = (depth: number, inner: object = { source: "a" }): object => (depth === 1 ? inner : { NOT: deep(depth - 1, inner) });
    const NOTS = (count: number) => `filters${".NOT".repeat(count)}`;
    expect(faultIn(wide(LIMITS.filterLeaves))).toBeUndefined();
    expect(faultIn(wide(LIMITS.filterLeaves + 1))).toBe("filters");
    expect(faultIn(deep(LIMITS.filterDepth))).toBeUndefined();
    expect(faultIn(deep(LIMITS.filterDepth + 1))).toBe(NOTS(LIMITS.filterDepth));
    expect(faultIn(JSON.parse(`${'{"NOT":'.repeat(1e5)}{}${"}".repeat(1e5)}`))).toBe(NOTS(LIMITS.filterDepth));
    // Siblings are an AND of their own.
    for (const two of [{ source: "a", role: "b" }, { source: { gt: "a", lt: "b" } }]) {
      expect(faultIn(deep(LIMITS.filterDepth - 1, two))).toBeUndefined();
      expect(faultIn(deep(LIMITS.filterDepth, two))).toBe(NOTS(LIMITS.filterDepth - 1));
    }
  });

  it("gives back the filter that it was written from", () => {
    fc.assert(fc.property(filters, (filter) => {
      expect(fromJson(toJson(filter))).toEqual(filter);
    }), { numRuns: 500 });
  });

  it("whatever it is, gives a filter or InvalidArgumentError with a path in the caller's own words", () => {
    const names = ["AND", "OR", "NOT", "tags", "source", "occurred_at", "metadata.a", "metadata.a.b", "eq", "in", "gt", "contains", "exists"];
    const nearlyRight = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, fc.jsonValue({ maxDepth: 1 }), fc.constant(AT), fc.array(tie("object"), { maxLength: 3 }), fc.array(fc.string(), { maxLength: 3 }), tie("object")),
      object: fc.dictionary(fc.constantFrom(...names), tie("value"), { maxKeys: 3 }),
    })).object;
    fc.assert(fc.property(fc.oneof(nearlyRight, fc.dictionary(fc.string(), fc.jsonValue())), (json) => {
      expect(faultIn(json) ?? "filters").not.toMatch(/\.filters\[|\.condition\b/);
    }), { numRuns: 2_000 });
  });
});

describe("a filter as a message", () => {
  it("survives the wire and both translations", () => {
    fc.assert(fc.property(filters, (filter) => {
      const onTheWire = FilterMessage.encode(toFilterMessage(filter)).finish();
      expect(parseFilter(FilterMessage.decode(onTheWire), "filters")).toEqual(filter);
    }), { numRuns: 500 });
  });

  it("is refused with its path when a part is unset or names what cannot be run", () => {
    const condition = (field: string, op: string, value: unknown): FilterMessage => ({ kind: { $case: "condition", value: { field, op, value } } });
    const not = (value: FilterMessage): FilterMessage => ({ kind: { $case: "not", value } });
    const and = (...parts: FilterMessage[]): FilterMessage => ({ kind: { $case: "and", value: { filters: parts } } });
    const cases: [FilterMessage, string][] = [
      [{ kind: undefined }, "filters"],
      [and(), "filters.and.filters"],
      [and(condition("source", "eq", "a"), { kind: undefined }), "filters.and.filters[1]"],
      [not(condition("colour", "eq", "a")), "filters.not.condition.field"],
      [condition("metadata.", "eq", "a"), "filters.condition.field"],
      [condition("source", "regex", "a"), "filters.condition.op"],
      [condition("source", "toString", "a"), "filters.condition.op"],
      [condition("source", "eq", undefined), "filters.condition.value"],
      [condition("metadata.a", "eq", NaN), "filters.condition.value"],
      [condition("metadata.a", "in", new Array(1)), "filters.condition.value[0]"],
    ];
    for (const [message, field] of cases) expect(faultOf(() => parseFilter(message, "filters"))).toBe(field);
  });
});

describe("a parsed filter", () => {
  it("selects by the caller's words, times in any offset", () => {
    const fields: Fields = { source: "chat", occurred_at: Date.parse(AT), metadata: { trip: { city: "Zürich" } } };
    const selects = (json: Record<string, unknown>) => matches(fromJson(json)!, fields);
    expect(selects({ source: "chat", "metadata.trip.city": { icontains: "zür" } })).toBe(true);
    expect(selects({ occurred_at: "2023-05-08T15:56:00+02:00" })).toBe(true);
    expect(selects({ occurred_at: { gt: "2023-05-08T15:56:00+02:00" } })).toBe(false);
    expect(selects({ "metadata.trip.days": { ne: 3 } })).toBe(false);
  });
});
