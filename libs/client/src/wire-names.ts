import type { Filters } from "./contract.js";

/** Fields of filters that have another name on the wire. The others, and names of metadata, are the same there. */
const FILTER_FIELDS: Readonly<Record<string, string>> = {
  agentId: "agent_id",
  runId: "run_id",
  occurredAt: "occurred_at",
  createdAt: "created_at",
  updatedAt: "updated_at",
  expiresAt: "expires_at",
};

/** Whose members are the caller's own: their names stay as they are. */
const OPAQUE: ReadonlySet<string> = new Set(["metadata"]);

/**
 * A request as JSON that the service reads, or an answer as it wrote it: names in snake_case, dates as text, vectors as arrays, undefined left out.
 * @throws TypeError for a number that JSON has no word for (it would become null, which means something else), and for
 * a date that is none
 */
export function toWire(value: unknown): unknown {
  return convert(value, (name) => name.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`));
}

/** A filter as JSON; its fields' names are translated, its operators' are not. */
export function filtersToWire({ AND, OR, NOT, ...conditions }: Filters): Record<string, unknown> {
  const fields = Object.entries(conditions).map(([name, condition]) => [FILTER_FIELDS[name] ?? name, convert(condition, same)]);
  return {
    ...(Object.fromEntries(fields) as Record<string, unknown>),
    ...(AND === undefined ? {} : { AND: AND.map(filtersToWire) }),
    ...(OR === undefined ? {} : { OR: OR.map(filtersToWire) }),
    ...(NOT === undefined ? {} : { NOT: filtersToWire(NOT) }),
  };
}

/** An answer with the names of this language. */
export function fromWire(value: unknown): unknown {
  return convert(value, (name) => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()));
}

function convert(value: unknown, rename: (name: string) => string): unknown {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new TypeError("a date is not valid");
    return value.toISOString();
  }
  if (value instanceof Float32Array) return convert(Array.from(value), same);
  if (Array.isArray(value)) return value.map((item) => convert(item, rename));
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value as Record<string, unknown>).filter(([, member]) => member !== undefined);
    return Object.fromEntries(members.map(([name, member]) => [rename(name), convert(member, OPAQUE.has(name) ? same : rename)]));
  }
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`${value} is not a number that can be sent`);
  return value;
}

function same(name: string): string {
  return name;
}
