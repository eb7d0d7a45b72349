/** A value in a condition. A time is its milliseconds since 1970. */
export type Scalar = string | number | boolean | null;

/** Where a value stands in the fields of a memory, such as `["source"]` or `["metadata", "trip", "city"]`. */
export type FieldPath = readonly string[];

export type Condition =
  | { field: FieldPath; op: "eq" | "ne"; value: Scalar }
  | { field: FieldPath; op: "gt" | "gte" | "lt" | "lte"; value: string | number }
  | { field: FieldPath; op: "in" | "nin"; value: readonly Scalar[] }
  // Membership in a list, or part of a string; icontains without regard to case.
  | { field: FieldPath; op: "contains"; value: Scalar }
  | { field: FieldPath; op: "icontains"; value: string }
  | { field: FieldPath; op: "exists"; value: boolean };

export type Filter = { and: readonly Filter[] } | { or: readonly Filter[] } | { not: Filter } | Condition;

/** What a filter can ask of a memory, by the names that callers use. Metadata is JSON. */
export interface Fields {
  readonly id?: string | undefined;
  readonly key?: string | undefined;
  readonly agent_id?: string | undefined;
  readonly run_id?: string | undefined;
  readonly role?: string | undefined;
  readonly source?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly occurred_at?: number | undefined;
  readonly created_at?: number | undefined;
  readonly updated_at?: number | undefined;
  readonly expires_at?: number | undefined;
  readonly metadata?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Nothing is coerced: values of two types are unequal and in no order. Strings are ordered by UTF-16 code units. A field that
 * is absent, or an empty list, matches `exists: false` and no other condition, so `ne` and `nin` only where there is a value.
 * Recursion is as deep as the filter; whoever parses one bounds that.
 */
export function matches(filter: Filter, fields: Fields): boolean {
  if ("and" in filter) return filter.and.every((part) => matches(part, fields));
  if ("or" in filter) return filter.or.some((part) => matches(part, fields));
  if ("not" in filter) return !matches(filter.not, fields);
  const value = valueAt(fields, filter.field);
  return filter.op === "exists" ? (value !== undefined) === filter.value : value !== undefined && holds(filter, value);
}

/** Each field that the filter names, once. */
export function fieldsOf(filter: Filter): FieldPath[] {
  return [...new Map(pathsOf(filter).map((path) => [JSON.stringify(path), path])).values()];
}

export function metadataFieldsOf(filter: Filter | undefined): FieldPath[] {
  return filter === undefined ? [] : fieldsOf(filter).filter(([root]) => root === "metadata");
}

/** undefined where there is no value. Lists are not walked into, and neither is what an object inherits. */
export function valueAt(fields: Fields, path: FieldPath): unknown {
  let value: unknown = fields;
  for (const name of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return Array.isArray(value) && value.length === 0 ? undefined : value;
}

function holds(condition: Exclude<Condition, { op: "exists" }>, value: unknown): boolean {
  switch (condition.op) {
    case "eq":
      return value === condition.value;
    case "ne":
      return value !== condition.value;
    case "gt":
      return isComparable(value, condition.value) && value > condition.value;
    case "gte":
      return isComparable(value, condition.value) && value >= condition.value;
    case "lt":
      return isComparable(value, condition.value) && value < condition.value;
    case "lte":
      return isComparable(value, condition.value) && value <= condition.value;
    case "in":
      return condition.value.includes(value as Scalar);
    case "nin":
      return !condition.value.includes(value as Scalar);
    case "contains":
      return Array.isArray(value) ? value.includes(condition.value) : isPart(condition.value, value);
    case "icontains": {
      const wanted = folded(condition.value);
      return Array.isArray(value) ? value.some((item) => folded(item) === wanted) : isPart(wanted, folded(value));
    }
  }
}

function isComparable(value: unknown, other: string | number): value is string | number {
  return typeof value === typeof other;
}

function isPart(part: Scalar, whole: unknown): boolean {
  return typeof part === "string" && typeof whole === "string" && whole.includes(part);
}

function folded<T>(value: T): T | string {
  return typeof value === "string" ? value.toLowerCase() : value;
}

function pathsOf(filter: Filter): FieldPath[] {
  if ("and" in filter) return filter.and.flatMap(pathsOf);
  if ("or" in filter) return filter.or.flatMap(pathsOf);
  return "not" in filter ? pathsOf(filter.not) : [filter.field];
}
