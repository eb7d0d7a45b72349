import type { Fields } from "./filter.js";

// Rough, in bytes: a map entry with its number, and a character of its key.
const ENTRY_BYTES = 60;
const CHARACTER_BYTES = 2;
/** Between the names of a path: no name that a filter can ask for holds it. */
const SEPARATOR = "\u0000";

/** A memory's metadata, as far as it is kept for filtering, and the names of the rest. */
interface Metadata {
  readonly fields: Pick<Fields, "metadata">;
  readonly leftOut: readonly string[];
}

/** Which metadata any memory has, so that a filter by what nobody has is known without looking at every memory. */
export class MetadataNames {
  readonly #known = new Map<string, number>();
  readonly #leftOut = new Map<string, number>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add({ fields, leftOut }: Metadata): void {
    for (const path of pathsOf(fields.metadata)) this.#count(this.#known, path, 1);
    for (const name of leftOut) this.#count(this.#leftOut, name, 1);
  }

  remove({ fields, leftOut }: Metadata): void {
    for (const path of pathsOf(fields.metadata)) this.#count(this.#known, path, -1);
    for (const name of leftOut) this.#count(this.#leftOut, name, -1);
  }

  /** Whether any memory has a value there. */
  isKnown(names: readonly string[]): boolean {
    return this.#known.has(names.join(SEPARATOR));
  }

  /** Whether any memory has such a member that is not kept for filtering. */
  isLeftOut(name: string): boolean {
    return this.#leftOut.has(name);
  }

  clear(): void {
    this.#known.clear();
    this.#leftOut.clear();
    this.#bytes = 0;
  }

  #count(counts: Map<string, number>, name: string, change: 1 | -1): void {
    const before = counts.get(name) ?? 0;
    const bytes = ENTRY_BYTES + CHARACTER_BYTES * name.length;
    if (before === 0) this.#bytes += bytes;
    if (before + change === 0) {
      counts.delete(name);
      this.#bytes -= bytes;
    } else {
      counts.set(name, before + change);
    }
  }
}

/** Every path that a filter could ask for and find a value at. */
function* pathsOf(value: unknown, prefix?: string): Generator<string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return;
  for (const [name, inner] of Object.entries(value)) {
    if (Array.isArray(inner) && inner.length === 0) continue;
    const path = prefix === undefined ? name : `${prefix}${SEPARATOR}${name}`;
    yield path;
    yield* pathsOf(inner, path);
  }
}
