import { InvalidArgumentError } from "@memseal/errors";
import { elementPath, memberPath } from "./field-path.js";
import { LIMITS } from "./limits.js";
import { storable } from "./text.js";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type Metadata = Readonly<Record<string, Json>>;

/**
 * A frozen copy of a caller's metadata: an object of JSON values, at most 10 KB and 32 deep.
 * @throws InvalidArgumentError with the path of the fault
 */
export function parseMetadata(value: unknown, field: string): Metadata {
  if (!isRecord(value)) throw new InvalidArgumentError(field, "must be an object");
  const metadata = copyRecord(value, field, 1);
  if (Buffer.byteLength(JSON.stringify(metadata)) > LIMITS.metadataBytes) {
    throw new InvalidArgumentError(field, `must have at most ${LIMITS.metadataBytes} bytes as JSON`);
  }
  return metadata;
}

/** What of a memory's metadata can be filtered by: top-level members, the smallest first, as many as fit in 4 KB of JSON. */
export function filterableMetadata(metadata: Readonly<Record<string, unknown>>): { kept: Readonly<Record<string, unknown>>; leftOut: readonly string[] } {
  const members = Object.entries(metadata).map(([name, value]) => ({ name, value, bytes: Buffer.byteLength(JSON.stringify({ [name]: value })) }));
  members.sort((a, b) => a.bytes - b.bytes);
  const kept: [string, unknown][] = [];
  const leftOut: string[] = [];
  let bytes = 1;
  for (const member of members) {
    // With a comma rather than two braces.
    bytes += member.bytes - 1;
    if (bytes <= LIMITS.filterableBytes) kept.push([member.name, member.value]);
    else leftOut.push(member.name);
  }
  return { kept: Object.fromEntries(kept), leftOut };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return Object.prototype.toString.call(value) === "[object Object]";
}

function copy(value: unknown, field: string, depth: number): Json {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") return storable(value, field);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new InvalidArgumentError(field, "must be a finite number");
    return value;
  }
  // Array.from: map would step over holes.
  if (Array.isArray(value)) return Object.freeze(Array.from(deeper(value, field, depth), (item, i) => copy(item, elementPath(field, i), depth + 1)));
  if (isRecord(value)) return copyRecord(deeper(value, field, depth), field, depth + 1);
  throw new InvalidArgumentError(field, "must be a JSON value");
}

function copyRecord(record: Record<string, unknown>, field: string, depth: number): Metadata {
  const entries = Object.entries(record).map(([name, value]) => {
    const path = memberPath(field, name);
    // Where an object is built by assignment, this name would set its prototype and be lost.
    if (name === "__proto__") throw new InvalidArgumentError(path, "is not allowed as a name");
    return [storable(name, path), copy(value, path, depth)] as const;
  });
  return Object.freeze(Object.fromEntries(entries));
}

/** The value, if what is in it may be one level deeper. */
function deeper<T>(value: T, field: string, depth: number): T {
  if (depth >= LIMITS.jsonDepth) throw new InvalidArgumentError(field, `must not be nested more than ${LIMITS.jsonDepth} deep`);
  return value;
}
