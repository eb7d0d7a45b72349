import { Stems } from "./stems.js";
import { STOP_WORDS } from "./stop-words.js";

const SEGMENTER = new Intl.Segmenter("en", { granularity: "word" });

const ASCII = /^\p{ASCII}*$/u;
const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;
const APOSTROPHES = /[\u2018\u2019\u201b\u02bc]/g;
// No word holds one of these, so cutting here leaves the segmentation as it is.
const BREAKS = /[ \t\r\n]+/;
// What UAX 29 says of lower-case ASCII, 40 times as fast as the segmenter; the spec proves that both agree.
// Underscores alone match, too, and are dropped after: excluding them here would take quadratic time on a run of them.
const ASCII_WORD = /\w+(?:(?:(?<=[a-z])[:.'](?=[a-z])|(?<=[0-9])[,;.'](?=[0-9]))\w+)*/g;

/**
 * The index terms of a text, in order, repeats kept: NFKC, lower case, Unicode words (UAX 29), English stop words
 * dropped, Snowball English (Porter2) stems. Texts and queries go through this same function. stems: those of the tenant
 * whose text it is.
 */
export function analyze(text: string, stems = new Stems()): string[] {
  const terms: string[] = [];
  for (const word of words(text.normalize("NFKC").toLowerCase().replace(APOSTROPHES, "'"))) {
    if (!STOP_WORDS.has(word)) terms.push(stems.of(word));
  }
  return terms;
}

/** normalised: NFKC, lower case, straight apostrophes. */
function words(normalised: string): string[] {
  if (ASCII.test(normalised)) return asciiWords(normalised);
  return normalised.split(BREAKS).flatMap((piece) => (ASCII.test(piece) ? asciiWords(piece) : segments(piece)));
}

function asciiWords(text: string): string[] {
  return (text.match(ASCII_WORD) ?? []).filter((word) => LETTER_OR_DIGIT.test(word));
}

function segments(piece: string): string[] {
  const found: string[] = [];
  for (const { segment, isWordLike } of SEGMENTER.segment(piece)) {
    if (isWordLike === true && LETTER_OR_DIGIT.test(segment)) found.push(segment);
  }
  return found;
}
