import fc from "fast-check";

export interface JsonSchema {
  readonly $ref?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly type?: string | readonly string[];
  readonly oneOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly minProperties?: number;
}

/** Lists and texts may be long; most are short, so that a request is built in a moment. */
const FEW = 4;
const SHORT = 40;
/** How often a schema may occur within itself. */
const REPEATS = 3;

/** Values that a schema describes, as far as `resolve` knows its references. Keywords it does not know are left to the service to refuse. */
export function valid(schema: JsonSchema, resolve: (ref: string) => JsonSchema, within: readonly string[] = []): fc.Arbitrary<unknown> {
  const of = (part: JsonSchema) => valid(part, resolve, within);
  const { $ref, const: only, enum: some, oneOf, anyOf, type, properties } = schema;
  if ($ref !== undefined) return valid(resolve($ref), resolve, [...within, $ref]);
  if (some !== undefined) return fc.constantFrom(...some);
  if ("const" in schema) return fc.constant(only);
  if (oneOf !== undefined && properties !== undefined) return fc.oneof(...oneOf.map(({ required = [] }) => object(without(schema, oneOf.flatMap((other) => other.required ?? []), required), of, isTooDeep(within, resolve))));
  const parts = oneOf ?? anyOf;
  if (parts !== undefined) return fc.oneof(...parts.map(of));
  if (typeof type === "object") return fc.oneof(...type.map((one) => of({ ...schema, type: one })));
  switch (type) {
    case "string":
      return string(schema);
    case "integer":
      return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 1_000 });
    case "number":
      return fc.double({ min: schema.minimum ?? schema.exclusiveMinimum ?? -1e6, max: schema.maximum ?? 1e6, noNaN: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    case "array":
      return fc.array(of(schema.items ?? {}), { minLength: schema.minItems ?? 0, maxLength: Math.min(schema.maxItems ?? FEW, FEW) });
    case "object":
      return properties === undefined ? fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: FEW }) : object(schema, of, isTooDeep(within, resolve));
    default:
      return fc.jsonValue({ maxDepth: 3 });
  }
}

function object({ properties = {}, patternProperties = {}, required = [], minProperties = 0 }: JsonSchema, of: (part: JsonSchema) => fc.Arbitrary<unknown>, isLeftOut: (part: JsonSchema) => boolean): fc.Arbitrary<object> {
  const named = Object.entries(properties).filter(([, part]) => !isLeftOut(part));
  const matching = Object.values(patternProperties).map((part, i) => [`metadata.a${i}.b`, part] as const);
  const parts = Object.fromEntries([...named, ...matching].map(([name, part]) => [name, of(part)]));
  // A handful of the optional ones: all at once would rarely be accepted.
  const optional = Object.keys(parts).filter((name) => !required.includes(name));
  return fc.subarray(optional, { minLength: Math.max(0, minProperties - required.length), maxLength: Math.min(FEW, optional.length) }).chain((chosen) => fc.record(Object.fromEntries([...required, ...chosen].map((name) => [name, parts[name] ?? fc.constant(null)]))));
}

/** An object whose members `exclusive` exclude each other, with `chosen` of them. */
function without(schema: JsonSchema, exclusive: readonly string[], chosen: readonly string[]): JsonSchema {
  const properties = Object.entries(schema.properties ?? {}).filter(([name]) => chosen.includes(name) || !exclusive.includes(name));
  return { ...schema, properties: Object.fromEntries(properties), required: chosen };
}

function isTooDeep(within: readonly string[], resolve: (ref: string) => JsonSchema): (part: JsonSchema) => boolean {
  return ({ $ref, items }) => {
    const ref = $ref ?? items?.$ref;
    return ref !== undefined && within.filter((one) => one === ref).length >= REPEATS && resolve(ref) !== undefined;
  };
}

function string({ minLength = 0, maxLength = SHORT, pattern, format }: JsonSchema): fc.Arbitrary<string> {
  if (format === "uuid") return fc.uuid();
  if (format === "date-time") return fc.date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T00:00:00Z"), noInvalidDate: true }).map((at) => at.toISOString());
  const text = fc.string({ unit: "grapheme", minLength: Math.min(minLength, SHORT), maxLength: Math.min(maxLength, SHORT) });
  return pattern === undefined ? text : text.filter((value) => new RegExp(pattern, "u").test(value));
}

const nested = (depth: number, isObject: boolean): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = isObject ? { a: value } : [value];
  return value;
};

/** What no schema describes: other types, extremes of each, and names that mean something to a language. */
export const wild: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, "", "\0", "\ud800", "a\udc00b", "‮", "__proto__", 0, -0, -1, 1e308, -1e308, 5e-324, 2 ** 53, 2 ** 64, 1.5, [], {}, [[]], [null], { constructor: 1 }, { $ref: "#" }),
  fc.jsonValue({ maxDepth: 4 }),
  fc.string({ unit: "binary", maxLength: 64 }),
  fc.tuple(fc.constantFrom(33, 500, 1_500), fc.boolean()).map(([depth, isObject]) => nested(depth, isObject)),
  fc.constantFrom(300, 2_500, 60_000, 300_000).map((length) => "é".repeat(length)),
  fc.constantFrom(65, 201, 2_000).chain((length) => fc.constantFrom<unknown>(0, "a", null, {}, { text: "a" }, { source: "a" }, []).map((item) => Array<unknown>(length).fill(item))),
);

/** A described value with one place of it changed: replaced, taken away, or given a member more. */
export function almost(described: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.tuple(described, fc.nat(), fc.constantFrom("replace", "remove", "add"), wild, fc.constantFrom("colour", "userId", "tenant", "toString", "")).map(([value, at, how, other, name]) => {
    let left = at % placesIn(value);
    const change = (node: unknown): unknown => {
      if (left-- === 0) {
        if (how === "remove") return undefined;
        return how === "add" && typeof node === "object" && node !== null && !Array.isArray(node) ? { ...node, [name]: other } : other;
      }
      if (Array.isArray(node)) return node.map(change);
      if (typeof node === "object" && node !== null) return Object.fromEntries(Object.entries(node).map(([key, part]) => [key, change(part)]));
      return node;
    };
    return change(value);
  });
}

function placesIn(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  return Object.values(value).reduce((sum: number, part) => sum + placesIn(part), 1);
}
