import { InvalidArgumentError } from "@memseal/errors";
import type { Filter } from "@memseal/retrieval";
import { bounded, inRange, optionalText, optionalVersion, parseMemoryId, parseUserId, type ClaimedUser } from "./bounds.js";
import { elementPath } from "./field-path.js";
import { parseFilter } from "./filter-to-domain.js";
import type * as wire from "./generated/memseal/v1/memory.js";
import { LIMITS } from "./limits.js";
import { boundedText } from "./text.js";

/** One memory, by its id in lower case. */
export interface MemoryRef {
  readonly id: string;
}

export interface DeleteOne extends MemoryRef {
  /** The version it must still have. */
  readonly ifMatch?: number | undefined;
}

export interface Page {
  readonly limit: number;
  /** `next_cursor` of the page before, opaque here. */
  readonly cursor?: string | undefined;
}

export interface ListQuery extends ClaimedUser, Page {
  readonly filter?: Filter | undefined;
}

export type Selection = { readonly ids: readonly string[] } | { readonly key: string } | { readonly filter: Filter } | { readonly all: true };

export interface DeleteMany extends ClaimedUser {
  readonly selection: Selection;
  /** Count, and delete nothing. */
  readonly dryRun: boolean;
}

/** For get and history. @throws InvalidArgumentError with the path of the fault, as all parsers here */
export function parseMemoryRef(message: wire.GetRequest | wire.HistoryRequest): MemoryRef {
  return Object.freeze({ id: parseMemoryId(message.id, "id") });
}

export function parseDelete({ id, ifMatch }: wire.DeleteRequest): DeleteOne {
  return Object.freeze({ id: parseMemoryId(id, "id"), ifMatch: optionalVersion(ifMatch, "if_match") });
}

export function parseList(message: wire.ListRequest): ListQuery {
  return Object.freeze({
    ...parsePage(message),
    filter: message.filters && parseFilter(message.filters, "filters"),
    userId: parseUserId(message.userId),
  });
}

export function parsePage({ limit, cursor }: { limit?: number | undefined; cursor?: string | undefined }): Page {
  return {
    limit: inRange(limit ?? LIMITS.listPageDefault, "limit", LIMITS.listPage),
    cursor: optionalText(cursor, "cursor", LIMITS.cursorCharacters),
  };
}

export function parseDeleteMany(message: wire.DeleteManyRequest): DeleteMany {
  const selections = selectionsOf(message);
  const [selection] = selections;
  // Nothing at all must never mean everything.
  if (selection === undefined || selections.length > 1) throw new InvalidArgumentError("request", "must have exactly one of ids, key, filters and all");
  return Object.freeze({ selection, dryRun: message.dryRun, userId: parseUserId(message.userId) });
}

function selectionsOf({ ids, key, filters, all }: wire.DeleteManyRequest): Selection[] {
  const selections: Selection[] = [];
  if (ids.length > 0) selections.push({ ids: parseIds(ids) });
  if (key !== undefined) selections.push({ key: boundedText(key, "key", LIMITS.keyCharacters) });
  if (filters !== undefined) selections.push({ filter: parseFilter(filters, "filters") });
  if (all) selections.push({ all });
  return selections;
}

/** Each once. */
function parseIds(ids: readonly string[]): readonly string[] {
  const checked = bounded(ids, "ids", 1, LIMITS.memoriesPerCall).map((id, i) => parseMemoryId(id, elementPath("ids", i)));
  return Object.freeze([...new Set(checked)]);
}
