import type { Filter } from "@memseal/retrieval";
import type * as wire from "./generated/memseal/v1/memory.js";

/** A parsed filter as a message again, for the next hop. */
export function toFilterMessage(filter: Filter): wire.Filter {
  if ("and" in filter) return { kind: { $case: "and", value: { filters: filter.and.map(toFilterMessage) } } };
  if ("or" in filter) return { kind: { $case: "or", value: { filters: filter.or.map(toFilterMessage) } } };
  if ("not" in filter) return { kind: { $case: "not", value: toFilterMessage(filter.not) } };
  return { kind: { $case: "condition", value: { ...filter } } };
}
