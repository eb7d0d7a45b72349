import type { AddRequest, FilterMessage, ListRequest, NewMemoryMessage, SearchRequest } from "@memseal/contracts";
import { InvalidArgumentError } from "@memseal/errors";

// What the contract has and this release does not do. It is refused by name rather than ignored; whoever builds it deletes its line.

/** Over HTTP. Over gRPC a call without a handler is UNIMPLEMENTED by itself. */
export const CALLS_NOT_SERVED = [
  { method: "POST", url: "/v1/memories/search/stream", call: "streaming search" },
  { method: "POST", url: "/v1/memories/delete", call: "deleting many memories" },
  { method: "PATCH", url: "/v1/memories/:id", call: "updating a memory" },
  { method: "GET", url: "/v1/memories/:id/history", call: "history" },
  { method: "POST", url: "/v1/rerank", call: "reranking a caller's own documents" },
  { method: "POST", url: "/v1/tokens", call: "creating tokens" },
  { method: "GET", url: "/v1/audit", call: "listing audit events" },
  { method: "POST", url: "/v1/erasures", call: "erasure" },
] as const;

/** Headers and metadata. */
export const HEADERS_NOT_SERVED = ["idempotency-key", "if-match"] as const;

/** Fields of messages, as generated and as callers write them. */
const FIELDS_NOT_SERVED = {
  add: { messages: "messages" } satisfies Partial<Record<keyof AddRequest, string>>,
  memory: { key: "key", runId: "run_id", expiresAt: "expires_at" } satisfies Partial<Record<keyof NewMemoryMessage, string>>,
  search: { threshold: "threshold", decay: "decay", asOf: "as_of" } satisfies Partial<Record<keyof SearchRequest, string>>,
  list: { filters: "filters" } satisfies Partial<Record<keyof ListRequest, string>>,
} as const;

/** Fields of filters. */
const FILTERS_NOT_SERVED: readonly string[] = ["key", "run_id", "expires_at"];

/** For requests that are otherwise sound. @throws InvalidArgumentError with the field's path, as all here */
export function refuseUnservedAdd(request: AddRequest): void {
  refuse(FIELDS_NOT_SERVED.add, request, "");
  for (const [i, memory] of request.memories.entries()) refuse(FIELDS_NOT_SERVED.memory, memory, `memories[${i}].`);
}

export function refuseUnservedSearch(request: SearchRequest): void {
  refuse(FIELDS_NOT_SERVED.search, request, "");
  if (request.filters !== undefined) refuseUnservedFilter(request.filters);
}

export function refuseUnservedList(request: ListRequest): void {
  refuse(FIELDS_NOT_SERVED.list, request, "");
}

/** valueOf: a header's or a metadata's value by its name. */
export function refuseUnservedHeaders(valueOf: (name: string) => unknown): void {
  const name = HEADERS_NOT_SERVED.find((one) => valueOf(one) !== undefined);
  if (name !== undefined) throw notServed(name);
}

function refuseUnservedFilter({ kind }: FilterMessage): void {
  switch (kind?.$case) {
    case "and":
    case "or":
      kind.value.filters.forEach(refuseUnservedFilter);
      return;
    case "not":
      refuseUnservedFilter(kind.value);
      return;
    case "condition":
      if (FILTERS_NOT_SERVED.includes(kind.value.field)) throw notServed(`filters.${kind.value.field}`);
      return;
    case undefined:
  }
}

function refuse(names: Readonly<Record<string, string>>, message: object, prefix: string): void {
  for (const [name, value] of Object.entries(message) as [string, unknown][]) {
    const shown = names[name];
    const isSet = Array.isArray(value) ? value.length > 0 : value !== undefined;
    if (shown !== undefined && isSet) throw notServed(prefix + shown);
  }
}

function notServed(field: string): InvalidArgumentError {
  return new InvalidArgumentError(field, "is not served yet by this release; leave it out");
}
