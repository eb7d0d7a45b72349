import { fromTimestamp, speakerOf, type Memory } from "@memseal/contracts";

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

/**
 * Code points of a passage that are sent. The model reads 256 tokens, query and passage together, so nothing beyond is
 * scored; a passage may have 50,000, more than the reranker takes once date and speaker stand before it.
 */
const MAX_CHARACTERS = 4_000;

/**
 * What the cross-encoder reads: `[8 May 2023] speaker: text`, the form its quality was measured with, cut to 4,000 code
 * points. undefined for a text of nothing but space, which there is nothing to score of.
 */
export function passageText(memory: Memory, text: string): string | undefined {
  const read = text.trimStart();
  if (read === "") return undefined;
  const date = memory.occurredAt === undefined ? "" : `[${DAY.format(fromTimestamp(memory.occurredAt, "occurred_at"))}] `;
  const speaker = speakerOf(memory);
  return firstCodePoints(`${date}${speaker === undefined ? "" : `${speaker}: `}${read}`, MAX_CHARACTERS);
}

/** Never half a surrogate pair: the reranker refuses one. */
function firstCodePoints(text: string, max: number): string {
  // A code point has at most two units.
  return text.length <= max ? text : Array.from(text.slice(0, 2 * max)).slice(0, max).join("");
}
