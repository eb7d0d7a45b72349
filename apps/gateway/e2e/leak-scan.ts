import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";

/** What is looked for: a text, bytes, or a part of a vector. */
export type Needle = string | Uint8Array | Float32Array;

/** Shorter forms could stand anywhere by chance. */
const SHORTEST_FORM = 8;
const CHUNK_BYTES = 4 * 1024 * 1024;

interface Pattern {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Looks for many values at once, each in every form of `formsOf`. Source: Wu and Manber 1994, with blocks of two bytes. */
export class LeakScan {
  readonly #longest: number;
  /** So many bytes of each pattern, from its start, are looked at together: the length of the shortest. */
  readonly #window: number;
  /** By the last two bytes of a window: how far on the next one that can begin a pattern ends, at least. */
  readonly #skip: Uint8Array;
  /** By the last two bytes of their window. */
  readonly #patterns = new Map<number, Pattern[]>();

  /** needles: by the names that are answered. @throws RangeError for one that would be found by chance */
  constructor(needles: Readonly<Record<string, Needle>>) {
    const patterns = Object.entries(needles).flatMap(([name, needle]) => formsOf(needle).map((bytes): Pattern => ({ name, bytes })));
    const short = patterns.find(({ bytes }) => bytes.length < SHORTEST_FORM);
    if (short !== undefined) throw new RangeError(`${short.name} has a form of less than ${SHORTEST_FORM} bytes`);
    const lengths = patterns.map(({ bytes }) => bytes.length);
    this.#longest = Math.max(...lengths);
    // 255: what a skip can hold.
    this.#window = Math.min(255, ...lengths);
    this.#skip = new Uint8Array(65_536).fill(this.#window - 1);
    for (const pattern of patterns) {
      for (let end = 1; end < this.#window; end++) {
        const block = blockAt(pattern.bytes, end);
        this.#skip[block] = Math.min(this.#skip[block], this.#window - 1 - end);
      }
      const last = blockAt(pattern.bytes, this.#window - 1);
      this.#patterns.set(last, [...(this.#patterns.get(last) ?? []), pattern]);
    }
  }

  /** Names of what is in there. */
  inBytes(bytes: Uint8Array): Set<string> {
    const found = new Set<string>();
    const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const [window, skips, patterns] = [this.#window, this.#skip, this.#patterns];
    // No global in here, such as Math: within a test each costs more than the rest of a step.
    for (let end = window - 1; end < haystack.length; ) {
      const block = blockAt(haystack, end);
      const skip = skips[block];
      if (skip === 0) {
        for (const { name, bytes: pattern } of patterns.get(block) ?? []) {
          if (standsAt(haystack, end + 1 - window, pattern)) found.add(name);
        }
      }
      end += skip || 1;
    }
    return found;
  }

  inText(text: string): Set<string> {
    return this.inBytes(Buffer.from(text));
  }

  /** Read in pieces; what lies across two of them is found, too. Nothing is in a file that is gone by now. */
  inFile(path: string, chunkBytes = CHUNK_BYTES): Set<string> {
    const found = new Set<string>();
    const file = openIfThere(path);
    if (file === undefined) return found;
    try {
      const piece = Buffer.alloc(this.#longest - 1 + chunkBytes);
      for (let kept = 0; ; ) {
        const read = readSync(file, piece, kept, chunkBytes, null);
        if (read === 0) return found;
        const filled = kept + read;
        for (const name of this.inBytes(piece.subarray(0, filled))) found.add(name);
        kept = Math.min(filled, this.#longest - 1);
        piece.copyWithin(0, filled - kept, filled);
      }
    } finally {
      closeSync(file);
    }
  }

  /** What is in each file that holds something. */
  inFiles(files: readonly string[]): Map<string, Set<string>> {
    return new Map(files.map((file) => [file, this.inFile(file)] as const).filter(([, found]) => found.size > 0));
  }
}

/** Every file under a folder. Those of a running database come and go. */
export function filesUnder(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" }).map((name) => join(dir, name)).filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
}

/**
 * How a value could have been written down. Texts: UTF-8, UTF-16, hex, base64, percent-encoded, within JSON. Bytes: as they are,
 * hex, base64. Vectors: the bytes of float32 so, and of float64 as they are, and the first value in decimals.
 */
export function formsOf(needle: Needle): Buffer[] {
  if (typeof needle === "string") {
    const inJson = JSON.stringify(needle).slice(1, -1);
    const inAsciiJson = inJson.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
    const utf16 = Buffer.from(needle, "utf16le");
    return distinct([...bytesForms(Buffer.from(needle)), utf16, Buffer.from(utf16).swap16(), encodeURIComponent(needle), inJson, inAsciiJson]);
  }
  if (!(needle instanceof Float32Array)) return distinct(bytesForms(Buffer.from(needle)));
  const float32 = Buffer.from(needle.buffer, needle.byteOffset, needle.byteLength);
  return distinct([...bytesForms(float32), Buffer.from(Float64Array.from(needle).buffer), String(needle[0])]);
}

function bytesForms(bytes: Buffer): (Buffer | string)[] {
  const hex = bytes.toString("hex");
  return [bytes, hex, hex.toUpperCase(), ...base64Of(bytes), ...base64Of(bytes).map((text) => text.replaceAll("+", "-").replaceAll("/", "_"))];
}

/** In the base64 of something longer stands one of three texts, but for the characters that its neighbours have a part in. */
function base64Of(bytes: Buffer): string[] {
  return [0, 1, 2].map((before) => {
    const shifted = Buffer.concat([Buffer.alloc(before), bytes]);
    return shifted.toString("base64").slice(before === 0 ? 0 : before + 1, Math.floor((shifted.length * 4) / 3));
  });
}

function distinct(forms: readonly (Buffer | string)[]): Buffer[] {
  return [...new Map(forms.map((form) => Buffer.from(form as string)).map((bytes) => [bytes.toString("latin1"), bytes])).values()];
}

/** Byte by byte: in the zeros that files and heaps are full of, a vector's form could begin anywhere and soon does not. */
function standsAt(haystack: Buffer, start: number, pattern: Buffer): boolean {
  for (let i = 0; i < pattern.length; i++) {
    if (haystack[start + i] !== pattern[i]) return false;
  }
  return true;
}

/** The two bytes up to `end`, as a number. */
function blockAt(bytes: Buffer, end: number): number {
  return (bytes[end - 1] << 8) | bytes[end];
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
