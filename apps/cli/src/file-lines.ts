import { createReadStream } from "node:fs";
import { readFile, type FileHandle } from "node:fs/promises";
import { AppError, InvalidArgumentError } from "@memseal/errors";

/** One memory of a file, as its JSON. */
export interface FileItem {
  /** From 1: its line, or its place where the whole file is one JSON document. */
  number: number;
  json: string;
}

const NEWLINE = 0x0a;

/** More than any memory with its metadata and a vector: such a file is something else. */
const LONGEST_LINE_BYTES = 8 * 1024 * 1024;

const BLOCK_BYTES = 1024 * 1024;

/**
 * The memories of a file: a line each (JSONL; empty lines count and are skipped), or one JSON document that is an array or has
 * one in `results`. Lines are read one at a time, a document as a whole.
 * @throws AppError for a file that cannot be read, InvalidArgumentError for one that is neither
 */
export async function* itemsOf(file: string): AsyncGenerator<FileItem, void, undefined> {
  const document = await documentIn(file);
  if (document !== undefined) {
    for (const [i, item] of document.entries()) yield { number: i + 1, json: JSON.stringify(item) };
    return;
  }
  let number = 0;
  for await (const json of linesOf(file)) {
    number++;
    if (json.trim() !== "") yield { number, json };
  }
}

/** The array of a file that is one JSON document; undefined where each line is JSON of its own. */
async function documentIn(file: string): Promise<unknown[] | undefined> {
  for await (const line of linesOf(file)) {
    if (line.trim() === "") continue;
    const first = jsonIn(line);
    const isMemory = first !== undefined && !Array.isArray(first) && resultsIn(first) === undefined;
    if (isMemory) return undefined;
    const whole = jsonIn(await readFile(file, "utf8"));
    const items = Array.isArray(whole) ? (whole as unknown[]) : resultsIn(whole);
    // A first line that is broken is one fault of many lines, which are told one by one.
    return items;
  }
  return undefined;
}

function resultsIn(value: unknown): unknown[] | undefined {
  if (typeof value !== "object" || value === null || !("results" in value)) return undefined;
  return Array.isArray(value.results) ? (value.results as unknown[]) : undefined;
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Not readline: it also ends lines at U+2028, which JSON may hold. */
async function* linesOf(file: string): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest: Buffer[] = [];
  let restBytes = 0;
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: BLOCK_BYTES }) as AsyncIterable<Buffer>) {
      let from = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
        yield decoder.decode(Buffer.concat([...rest, chunk.subarray(from, end)]));
        rest = [];
        restBytes = 0;
        from = end + 1;
      }
      rest.push(chunk.subarray(from));
      restBytes += chunk.length - from;
      if (restBytes > LONGEST_LINE_BYTES) throw new InvalidArgumentError("file", `has a line of more than ${LONGEST_LINE_BYTES} bytes: each memory must have a line of its own`);
    }
    if (restBytes > 0) yield decoder.decode(Buffer.concat(rest));
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === "ERR_ENCODING_INVALID_ENCODED_DATA") throw new InvalidArgumentError("file", "is not UTF-8 text");
    throw new AppError("not_found", `${file} cannot be read`, { cause });
  }
}

/** The lines of the first `bytes` of a file that ends with a newline, the last one first; each without its newline. */
export async function* linesBackwards(file: FileHandle, bytes: number): AsyncGenerator<Buffer, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for (let from = bytes; from > 0;) {
    const size = Math.min(BLOCK_BYTES, from);
    from -= size;
    const block = Buffer.alloc(size);
    await file.read(block, 0, size, from);
    let text = Buffer.concat([block, rest]);
    // What follows the last newline is nothing, or was given already.
    for (let end = text.lastIndexOf(NEWLINE); end >= 0; end = text.lastIndexOf(NEWLINE)) {
      const line = text.subarray(end + 1);
      if (line.length > 0) yield line;
      text = text.subarray(0, end);
    }
    rest = text;
  }
  if (rest.length > 0) yield rest;
}
