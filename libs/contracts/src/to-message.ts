import type { Condition, Filter, Scalar } from "@memseal/retrieval";
import { isTimeField } from "./filter-to-domain.js";
import type * as wire from "./generated/memseal/v1/memory.js";

/** A parsed filter as a message again, for the next hop. */
export function toFilterMessage(filter: Filter): wire.Filter {
  if ("and" in filter) return { kind: { $case: "and", value: { filters: filter.and.map(toFilterMessage) } } };
  if ("or" in filter) return { kind: { $case: "or", value: { filters: filter.or.map(toFilterMessage) } } };
  if ("not" in filter) return { kind: { $case: "not", value: toFilterMessage(filter.not) } };
  return { kind: { $case: "condition", value: { field: filter.field.join("."), op: filter.op, value: valueOf(filter) } } };
}

function valueOf({ field, value }: Condition): unknown {
  if (!isTimeField(field)) return value;
  return Array.isArray(value) ? value.map(timeOf) : timeOf(value as Scalar);
}

/** `exists` asks of a time, too, and its value is none. */
function timeOf(value: Scalar): Scalar {
  return typeof value === "number" ? new Date(value).toISOString() : value;
}
