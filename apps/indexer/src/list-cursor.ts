import { uuidBytes } from "@memseal/crypto";
import { InvalidArgumentError } from "@memseal/errors";

/** The last memory of a page, as the token that asks for the next one. */
export function encodeCursor(id: string): string {
  return uuidBytes(id).toString("base64url");
}

/** The id in it. @throws InvalidArgumentError unless encodeCursor() made it */
export function decodeCursor(cursor: string): string {
  const hex = Buffer.from(cursor, "base64url").toString("hex");
  const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  if (hex.length !== 32 || encodeCursor(id) !== cursor) throw new InvalidArgumentError("cursor", "must be the next_cursor of an earlier page");
  return id;
}
