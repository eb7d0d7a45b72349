import { createHash } from "node:crypto";

/**
 * The names in the order in which `key` belongs to them: the first that can be used is its place. A name that comes or goes moves
 * only the keys that are its own. Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998.
 */
export function rendezvousOrder(names: readonly string[], key: string): string[] {
  return names
    .map((name) => ({ name, weight: weightOf(name, key) }))
    .sort((a, b) => (a.weight < b.weight ? 1 : -1))
    .map(({ name }) => name);
}

/** The same for both on every gateway. Neither holds a NUL. */
function weightOf(name: string, key: string): bigint {
  return createHash("sha256").update(`${name}\0${key}`).digest().readBigUInt64BE();
}
