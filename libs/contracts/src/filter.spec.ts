import { InvalidArgumentError } from "@memseal/errors";
import type { Filter } from "@memseal/retrieval";
import fc from "fast-check";
import { filterFromJson } from "./filter-from-json.js";
import { parseFilter } from "./filter-to-domain.js";
import { Filter as FilterMessage } from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { toFilterMessage } from "./to-message.js";

function fromJson(json: Record<string, unknown>): Filter | undefined {
  const message = filterFromJson(json, "filters");
  return message && parseFilter(message, "filters");
}

const faultOf = (json: unknown) => faultIn(() => fromJson(json as Record<string, unknown>));

function faultIn(parse: () => unknown): string | undefined {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    return error.field;
  }
}

const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).filter((s) => !s.includes("\0"));
const filters: fc.Arbitrary<Filter> = fc.letrec<{ filter: Filter; leaf: Filter; part: Filter }>((tie) => ({
  leaf: fc.oneof(
    text.map((value): Filter => ({ field: "tags", op: "contains", value })),
    text.map((value): Filter => ({ field: "source", op: "eq", value })),
    fc.array(text, { minLength: 1, maxLength: 4 }).map((value): Filter => ({ field: "source", op: "in", value })),
    fc.record({ field: fc.constantFrom("tags" as const, "source" as const), op: fc.constant("exists" as const), value: fc.boolean() }),
  ),
  part: fc.oneof(
    fc.array(tie("filter"), { minLength: 1, maxLength: 3 }).map((and): Filter => ({ and })),
    fc.array(tie("filter"), { minLength: 1, maxLength: 3 }).map((or): Filter => ({ or })),
    tie("filter").map((not): Filter => ({ not })),
  ),
  filter: fc.oneof({ maxDepth: 4 }, tie("leaf"), tie("part")),
})).filter;

describe("a filter in JSON", () => {
  it.each<[object, Filter]>([
    [{ source: "chat" }, { field: "source", op: "eq", value: "chat" }],
    [{ tags: { contains: "x" } }, { field: "tags", op: "contains", value: "x" }],
    [{ source: { in: ["a", "b"] } }, { field: "source", op: "in", value: ["a", "b"] }],
    [{ NOT: { tags: { exists: true } } }, { not: { field: "tags", op: "exists", value: true } }],
    [
      { tags: { contains: "x" }, source: "chat", OR: [{ source: { exists: false } }] },
      {
        and: [
          { field: "tags", op: "contains", value: "x" },
          { field: "source", op: "eq", value: "chat" },
          { or: [{ field: "source", op: "exists", value: false }] },
        ],
      },
    ],
    [
      { tags: { contains: "x", exists: true } },
      { and: [{ field: "tags", op: "contains", value: "x" }, { field: "tags", op: "exists", value: true }] },
    ],
  ])("%j is read with bare values as eq and sibling keys as AND", (json, filter) => {
    expect(fromJson(json as Record<string, unknown>)).toEqual(filter);
  });

  it("is no filter when it is empty", () => {
    expect(fromJson({})).toBeUndefined();
  });

  it.each([
    [{ colour: "red" }, "filters.colour"],
    [{ "metadata.kind": "x" }, "filters.metadata.kind"],
    [{ "some text that got here": "x" }, "filters.*"],
    [{ tags: "x" }, "filters.tags"],
    [{ tags: { regex: "x" } }, "filters.tags.regex"],
    [{ source: { ne: "x" } }, "filters.source.ne"],
    [{ source: { in: [] } }, "filters.source.in"],
    [{ source: { in: ["a", 1] } }, "filters.source.in[1]"],
    [{ source: 1 }, "filters.source"],
    [{ source: null }, "filters.source"],
    [{ source: { exists: "true" } }, "filters.source.exists"],
    [{ tags: { contains: "x\0" } }, "filters.tags.contains"],
    [{ tags: {} }, "filters.tags"],
    [{ AND: [] }, "filters.AND"],
    [{ OR: {} }, "filters.OR"],
    [{ AND: [{ source: "a" }, {}] }, "filters.AND[1]"],
    [{ NOT: [{ source: "a" }] }, "filters.NOT"],
    [{ OR: [{ source: "a" }, { NOT: { tags: { contains: 1 } } }] }, "filters.OR[1].NOT.tags.contains"],
    [{ and: [{ source: "a" }] }, "filters.and"],
  ])("%j cannot be run and is refused at %s, never silently matched", (json, field) => {
    expect(faultOf(json)).toBe(field);
  });

  it("holds 64 conditions and 8 levels, and not one more", () => {
    const wide = (leaves: number) => ({ OR: Array.from({ length: leaves }, (_, i) => ({ source: `s${i}` })) });
    const deep = (depth: number): object => (depth === 1 ? { source: "a" } : { NOT: deep(depth - 1) });
    expect(faultOf(wide(LIMITS.filterLeaves))).toBeUndefined();
    expect(faultOf(wide(LIMITS.filterLeaves + 1))).toBe("filters");
    expect(faultOf(deep(LIMITS.filterDepth))).toBeUndefined();
    expect(faultOf(deep(LIMITS.filterDepth + 1))).toBe(`filters${".NOT".repeat(LIMITS.filterDepth)}`);
    expect(faultOf(JSON.parse(`${'{"NOT":'.repeat(1e5)}{}${"}".repeat(1e5)}`))).toBe(`filters${".NOT".repeat(LIMITS.filterDepth)}`);
  });

  it("whatever it is, gives a filter or InvalidArgumentError", () => {
    fc.assert(fc.property(fc.dictionary(fc.oneof(fc.constantFrom("AND", "OR", "NOT", "tags", "source"), fc.string()), fc.jsonValue()), (json) => {
      faultOf(json);
    }), { numRuns: 500 });
  });
});

describe("a filter as a message", () => {
  it("survives the wire and both translations", () => {
    fc.assert(fc.property(filters, (filter) => {
      const onTheWire = FilterMessage.encode(toFilterMessage(filter)).finish();
      expect(parseFilter(FilterMessage.decode(onTheWire), "filters")).toEqual(filter);
    }));
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
      [condition("source", "regex", "a"), "filters.condition.op"],
      [condition("source", "eq", undefined), "filters.condition.value"],
    ];
    for (const [message, field] of cases) expect(faultIn(() => parseFilter(message, "filters"))).toBe(field);
  });
});
