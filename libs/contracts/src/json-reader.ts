import { InvalidArgumentError } from "@memseal/errors";
import { z } from "zod";
import { elementPath, memberPath } from "./field-path.js";
import type { Timestamp } from "./generated/google/protobuf/timestamp.js";
import { isRecord } from "./metadata.js";
import { fromRfc3339 } from "./rfc3339.js";
import { encodeVector } from "./vector.js";

// One check for a whole list, not one for each element: a fault in each of a million elements is one fault.
export const strings = z.custom<string[]>((value) => isArrayOf(value, "string"), { error: "must be an array of strings" });
export const object = z.custom<Record<string, unknown>>(isRecord, { error: "must be an object" });
/** Texts, or objects of nothing but a text. */
export const texts = z.custom<(string | { text: string })[]>((value) => Array.isArray(value) && value.every(isText), { error: "must be an array of strings, or of objects with nothing but a text" })
  .transform((items) => items.map((item) => (typeof item === "string" ? item : item.text)));
const numbers = z.custom<number[]>((value) => isArrayOf(value, "number"), { error: "must be an array of numbers" });

/** As the little-endian float32 of a message. */
export const vector = numbers.transform((values): Buffer => encodeVector(Float32Array.from(values)));

export const time = z.string().transform((text, context): Timestamp => {
  const at = fromRfc3339(text);
  if (at !== undefined) return at;
  context.issues.push({ code: "custom", input: text, message: "must be a time as in RFC 3339, such as 2023-05-08T13:56:00Z" });
  return z.NEVER;
});

/** The value, if it has the shape that `schema` says. @throws InvalidArgumentError with the path of the first fault */
export function read<T extends z.ZodType>(schema: T, value: unknown, field: string): z.infer<T> {
  const result = schema.safeParse(value, { error: describe });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  let path = field;
  for (const step of issue?.path ?? []) path = typeof step === "number" ? elementPath(path, step) : memberPath(path, String(step));
  if (issue?.code === "unrecognized_keys") throw new InvalidArgumentError(memberPath(path, issue.keys[0] ?? ""), "is not a known field");
  throw new InvalidArgumentError(path === "" ? "body" : path, issue?.message ?? "is not valid");
}

/** What should stand there, and nothing of what does. */
function describe(issue: { code?: string; expected?: unknown; input?: unknown }): string | undefined {
  if (issue.code !== "invalid_type") return undefined;
  if (issue.input === undefined) return "is required";
  const expected = String(issue.expected);
  return `must be ${/^[aeiou]/.test(expected) ? "an" : "a"} ${expected}`;
}

function isText(value: unknown): boolean {
  return typeof value === "string" || (isRecord(value) && typeof value["text"] === "string" && Object.keys(value).length === 1);
}

function isArrayOf(value: unknown, type: "string" | "number"): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === type);
}
