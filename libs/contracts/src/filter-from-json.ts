import { InvalidArgumentError } from "@memseal/errors";
import { elementPath, memberPath } from "./field-path.js";
import { checkFilterDepth, parseCondition } from "./filter-to-domain.js";
import type { Filter } from "./generated/memseal/v1/memory.js";
import { isRecord } from "./metadata.js";

/**
 * A filter as JSON: `{field: value}`, `{field: {op: value}}`, `AND`, `OR` and `NOT`; a bare value is `eq` and sibling
 * keys are AND. An empty object at the top is no filter.
 * @throws InvalidArgumentError with the path of the part that cannot be run
 */
export function filterFromJson(json: Record<string, unknown>, field: string): Filter | undefined {
  return Object.keys(json).length === 0 ? undefined : filterFrom(json, field, 1);
}

function filterFrom(json: unknown, field: string, depth: number): Filter {
  checkFilterDepth(depth, field);
  if (!isRecord(json)) throw new InvalidArgumentError(field, "must be an object");
  // Siblings stand in an AND of their own, one level deeper.
  const inner = isSingle(json) ? depth : depth + 1;
  checkFilterDepth(inner, field);
  const parts = Object.entries(json).flatMap(([key, value]) => {
    const path = memberPath(field, key);
    switch (key) {
      case "AND":
        return [{ kind: { $case: "and", value: { filters: filtersFrom(value, path, inner) } } } satisfies Filter];
      case "OR":
        return [{ kind: { $case: "or", value: { filters: filtersFrom(value, path, inner) } } } satisfies Filter];
      case "NOT":
        return [{ kind: { $case: "not", value: filterFrom(value, path, inner + 1) } } satisfies Filter];
      default:
        return conditionsFrom(key, value, path);
    }
  });
  return all(parts, field);
}

function filtersFrom(json: unknown, field: string, depth: number): Filter[] {
  if (!Array.isArray(json) || json.length === 0) throw new InvalidArgumentError(field, "must be a list of at least one filter");
  return json.map((item, i) => filterFrom(item, elementPath(field, i), depth + 1));
}

function conditionsFrom(field: string, json: unknown, path: string): Filter[] {
  if (!isRecord(json)) return [condition(field, "eq", json, path, path)];
  const ops = Object.entries(json);
  if (ops.length === 0) throw new InvalidArgumentError(path, "must have at least one operator");
  return ops.map(([op, value]) => condition(field, op, value, path, memberPath(path, op)));
}

function condition(field: string, op: string, value: unknown, fieldPath: string, opPath: string): Filter {
  // Checked here as well as in parseFilter, because here the path is the one the caller wrote.
  parseCondition({ field, op, value }, { field: fieldPath, op: opPath, value: opPath });
  return { kind: { $case: "condition", value: { field, op, value } } };
}

/** Whether the object is one condition or one AND, OR or NOT. */
function isSingle(json: Record<string, unknown>): boolean {
  const parts = Object.entries(json).map(([key, value]) => (isRecord(value) && key !== "NOT" ? Object.keys(value).length : 1));
  return parts.reduce((sum, count) => sum + count, 0) <= 1;
}

function all(parts: Filter[], field: string): Filter {
  const [only] = parts;
  if (only === undefined) throw new InvalidArgumentError(field, "must not be empty");
  return parts.length === 1 ? only : { kind: { $case: "and", value: { filters: parts } } };
}
