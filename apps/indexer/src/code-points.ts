const SURROGATE = /[\ud800-\udfff]/;

/** Cuts `text` by Unicode code points, as offsets of chunks count them; returns text[start..end). */
export function codePointSlicer(text: string): (start: number, end: number) => string {
  // Without surrogates a code point is one UTF-16 unit, and most texts have none.
  if (!SURROGATE.test(text)) return (start, end) => text.slice(start, end);
  const points = Array.from(text);
  return (start, end) => points.slice(start, end).join("");
}
