import { InvalidArgumentError } from "@memseal/errors";

/** A text that is kept byte for byte: no NUL, no lone surrogate. @throws InvalidArgumentError */
export function storable(text: string, field: string): string {
  if (text.includes("\0")) throw new InvalidArgumentError(field, "must not hold the character NUL");
  if (!text.isWellFormed()) throw new InvalidArgumentError(field, "must not hold a lone surrogate");
  return text;
}

/** A storable text of 1 to `max` code points. @throws InvalidArgumentError */
export function boundedText(text: string, field: string, max: number): string {
  if (text === "") throw new InvalidArgumentError(field, "must not be empty");
  return atMostText(text, field, max);
}

/** A storable text of at most `max` code points. @throws InvalidArgumentError */
export function atMostText(text: string, field: string, max: number): string {
  // Two units make at most one code point, so most texts need no count.
  if (text.length > 2 * max || (text.length > max && codePointLength(text) > max)) {
    throw new InvalidArgumentError(field, `must have at most ${max} characters`);
  }
  return storable(text, field);
}

/** Length in Unicode code points, the unit of every limit and offset. */
export function codePointLength(text: string): number {
  let length = text.length;
  for (let i = 0; i + 1 < text.length; i++) {
    if (isHigh(text.charCodeAt(i)) && isLow(text.charCodeAt(i + 1))) length--;
  }
  return length;
}

function isHigh(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

function isLow(unit: number): boolean {
  return (unit & 0xfc00) === 0xdc00;
}
