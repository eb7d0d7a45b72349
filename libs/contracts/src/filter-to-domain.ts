import { InvalidArgumentError } from "@memseal/errors";
import type { Filter } from "@memseal/retrieval";
import { elementPath } from "./field-path.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { boundedText } from "./text.js";

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

/** @throws InvalidArgumentError for what cannot be run */
export function parseCondition({ field, op, value }: wire.Condition, paths: ConditionPaths): Filter {
  switch (field) {
    case "tags":
      switch (op) {
        case "contains":
          return Object.freeze({ field, op, value: parseString(value, paths.value, LIMITS.tagCharacters) });
        case "exists":
          return Object.freeze({ field, op, value: parseBoolean(value, paths.value) });
        default:
          throw new InvalidArgumentError(paths.op, "tags can be filtered with contains and exists");
      }
    case "source":
      switch (op) {
        case "eq":
          return Object.freeze({ field, op, value: parseString(value, paths.value, LIMITS.labelCharacters) });
        case "in":
          return Object.freeze({ field, op, value: parseStrings(value, paths.value) });
        case "exists":
          return Object.freeze({ field, op, value: parseBoolean(value, paths.value) });
        default:
          throw new InvalidArgumentError(paths.op, "source can be filtered with eq, in and exists");
      }
    default:
      throw new InvalidArgumentError(paths.field, "cannot be filtered by; use tags or source");
  }
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

function parseString(value: unknown, field: string, max: number): string {
  if (typeof value !== "string") throw new InvalidArgumentError(field, "must be a string");
  return boundedText(value, field, max);
}

function parseBoolean(value: unknown, field: string): boolean {
  if (typeof value !== "boolean") throw new InvalidArgumentError(field, "must be true or false");
  return value;
}

function parseStrings(value: unknown, field: string): readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > LIMITS.filterValues) {
    throw new InvalidArgumentError(field, `must be a list of 1 to ${LIMITS.filterValues} strings`);
  }
  return Object.freeze(Array.from(value, (item, i) => parseString(item, elementPath(field, i), LIMITS.labelCharacters)));
}
