/** A field without a value matches only `exists: false`; a memory without tags has no value there. */
export type Condition =
  | { field: "tags"; op: "contains"; value: string }
  | { field: "source"; op: "eq"; value: string }
  | { field: "source"; op: "in"; value: readonly string[] }
  | { field: "tags" | "source"; op: "exists"; value: boolean };

export type Filter = { and: readonly Filter[] } | { or: readonly Filter[] } | { not: Filter } | Condition;

/** What a filter can ask of a memory. */
export interface Attributes {
  tags: readonly string[];
  source?: string | undefined;
}

/** Recursion is as deep as the filter; whoever parses one bounds that. */
export function matches(filter: Filter, attributes: Attributes): boolean {
  if ("and" in filter) return filter.and.every((part) => matches(part, attributes));
  if ("or" in filter) return filter.or.some((part) => matches(part, attributes));
  if ("not" in filter) return !matches(filter.not, attributes);
  const { tags, source } = attributes;
  switch (filter.op) {
    case "contains":
      return tags.includes(filter.value);
    case "eq":
      return source === filter.value;
    case "in":
      return source !== undefined && filter.value.includes(source);
    case "exists":
      return (filter.field === "tags" ? tags.length > 0 : source !== undefined) === filter.value;
  }
}
