import { InvalidArgumentError } from "@memseal/errors";
import type { Condition, FieldPath, Filter, Scalar } from "@memseal/retrieval";
import { elementPath } from "./field-path.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { fromRfc3339 } from "./rfc3339.js";
import { atMostText } from "./text.js";
import { fromTimestamp } from "./timestamp.js";

/**
 * A filter that can be run as it stands: at most 64 conditions, 8 deep.
 * @throws InvalidArgumentError with the path of the part that cannot
 */
export function parseFilter(message: wire.Filter, field: string): Filter {
  const filter = parsePart(message, field, 1);
  if (countLeaves(filter) > LIMITS.filterLeaves) throw new InvalidArgumentError(field, `must have at most ${LIMITS.filterLeaves} conditions`);
  return filter;
}

/** Where each part of a condition stands in what the caller wrote. */
export interface ConditionPaths {
  field: string;
  op: string;
  value: string;
}

type Kind = "string" | "time" | "list" | "json";

const KINDS: Readonly<Record<string, Kind>> = {
  id: "string",
  key: "string",
  agent_id: "string",
  run_id: "string",
  role: "string",
  source: "string",
  tags: "list",
  occurred_at: "time",
  created_at: "time",
  updated_at: "time",
  expires_at: "time",
};
const METADATA = "metadata.";

const EQUALITY = ["eq", "ne", "in", "nin"] as const;
const ORDER = ["gt", "gte", "lt", "lte"] as const;
const PARTS = ["contains", "icontains"] as const;
type Op = (typeof EQUALITY | typeof ORDER | typeof PARTS)[number] | "exists";

const OPS: Readonly<Record<Kind, readonly Op[]>> = {
  string: [...EQUALITY, ...ORDER, ...PARTS, "exists"],
  time: [...EQUALITY, ...ORDER, "exists"],
  list: [...PARTS, "exists"],
  json: [...EQUALITY, ...ORDER, ...PARTS, "exists"],
};

/** @throws InvalidArgumentError for what cannot be run */
export function parseCondition({ field, op: name, value }: wire.Condition, paths: ConditionPaths): Condition {
  const kind = kindOf(field, paths.field);
  const op = OPS[kind].find((one) => one === name);
  if (op === undefined) throw new InvalidArgumentError(paths.op, `must be one of ${OPS[kind].join(", ")}`);
  const path = pathOf(field, paths.field);
  switch (op) {
    case "exists":
      return Object.freeze({ field: path, op, value: parseBoolean(value, paths.value) });
    case "in":
    case "nin":
      return Object.freeze({ field: path, op, value: parseScalars(value, kind, paths.value) });
    case "gt":
    case "gte":
    case "lt":
    case "lte": {
      const bound = parseScalar(value, kind, paths.value);
      if (typeof bound !== "string" && typeof bound !== "number") throw new InvalidArgumentError(paths.value, "must be a string or a number");
      return Object.freeze({ field: path, op, value: bound });
    }
    case "contains":
      return Object.freeze({ field: path, op, value: notEmpty(parseScalar(value, kind, paths.value), paths.value) });
    case "icontains":
      // Case is a matter of text.
      return Object.freeze({ field: path, op, value: notEmpty(parseString(value, paths.value), paths.value) });
    default:
      return Object.freeze({ field: path, op, value: parseScalar(value, kind, paths.value) });
  }
}

/** Whether the values of a field are times, which a message holds as in RFC 3339 and a filter in milliseconds. */
export function isTimeField([root]: FieldPath): boolean {
  return root !== undefined && KINDS[root] === "time";
}

/** @throws InvalidArgumentError when `depth` is more than a filter may have */
export function checkFilterDepth(depth: number, field: string): void {
  if (depth > LIMITS.filterDepth) throw new InvalidArgumentError(field, `must not be nested more than ${LIMITS.filterDepth} deep`);
}

function parsePart({ kind }: wire.Filter, field: string, depth: number): Filter {
  checkFilterDepth(depth, field);
  switch (kind?.$case) {
    case "and":
      return Object.freeze({ and: parseParts(kind.value, `${field}.and.filters`, depth) });
    case "or":
      return Object.freeze({ or: parseParts(kind.value, `${field}.or.filters`, depth) });
    case "not":
      return Object.freeze({ not: parsePart(kind.value, `${field}.not`, depth + 1) });
    case "condition": {
      const path = `${field}.condition`;
      return parseCondition(kind.value, { field: `${path}.field`, op: `${path}.op`, value: `${path}.value` });
    }
    case undefined:
      throw new InvalidArgumentError(field, "must be one of and, or, not and condition");
  }
}

function parseParts({ filters }: wire.FilterList, field: string, depth: number): readonly Filter[] {
  // An empty OR would match nothing, in silence.
  if (filters.length === 0) throw new InvalidArgumentError(field, "must not be empty");
  return Object.freeze(filters.map((filter, i) => parsePart(filter, elementPath(field, i), depth + 1)));
}

function countLeaves(filter: Filter): number {
  if ("and" in filter) return sum(filter.and);
  if ("or" in filter) return sum(filter.or);
  return "not" in filter ? countLeaves(filter.not) : 1;
}

function sum(filters: readonly Filter[]): number {
  return filters.reduce((total, filter) => total + countLeaves(filter), 0);
}

function kindOf(field: string, path: string): Kind {
  if (field.startsWith(METADATA)) return "json";
  const kind = Object.hasOwn(KINDS, field) ? KINDS[field] : undefined;
  if (kind === undefined) throw new InvalidArgumentError(path, `cannot be filtered by; use ${Object.keys(KINDS).join(", ")} or metadata.<path>`);
  return kind;
}

function pathOf(field: string, path: string): FieldPath {
  if (!field.startsWith(METADATA)) return Object.freeze([field]);
  const names = field.slice(METADATA.length).split(".");
  if (names.length > LIMITS.metadataPath || names.includes("")) throw new InvalidArgumentError(path, `must name 1 to ${LIMITS.metadataPath} members after metadata`);
  // A longer name is in no metadata.
  atMostText(field, path, LIMITS.metadataBytes);
  return Object.freeze(["metadata", ...names]);
}

function parseScalar(value: unknown, kind: Kind, field: string): Scalar {
  switch (kind) {
    case "string":
    case "list":
      return parseString(value, field);
    case "time":
      return parseTime(value, field);
    case "json":
      if (value === null || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))) return value;
      if (typeof value === "string") return parseString(value, field);
      throw new InvalidArgumentError(field, "must be a string, a finite number, true, false or null");
  }
}

function parseScalars(value: unknown, kind: Kind, field: string): readonly Scalar[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > LIMITS.filterValues) {
    throw new InvalidArgumentError(field, `must be a list of 1 to ${LIMITS.filterValues} values`);
  }
  return Object.freeze(Array.from(value, (item, i) => parseScalar(item, kind, elementPath(field, i))));
}

function parseString(value: unknown, field: string): string {
  if (typeof value !== "string") throw new InvalidArgumentError(field, "must be a string");
  return atMostText(value, field, LIMITS.filterValueCharacters);
}

function parseTime(value: unknown, field: string): number {
  const at = typeof value === "string" ? fromRfc3339(value) : undefined;
  if (at === undefined) throw new InvalidArgumentError(field, "must be a time as in RFC 3339, such as 2023-05-08T13:56:00Z");
  return fromTimestamp(at, field).getTime();
}

function parseBoolean(value: unknown, field: string): boolean {
  if (typeof value !== "boolean") throw new InvalidArgumentError(field, "must be true or false");
  return value;
}

/** The empty text is part of every text: a condition that says nothing. */
function notEmpty<T extends Scalar>(value: T, field: string): T {
  if (value === "") throw new InvalidArgumentError(field, "must not be empty");
  return value;
}
