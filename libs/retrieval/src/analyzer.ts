import snowball from "snowball-stemmers";
import { STOP_WORDS } from "./stop-words.js";

const SEGMENTER = new Intl.Segmenter("en", { granularity: "word" });
const STEMMER = snowball.newStemmer("english");

const ASCII = /^\p{ASCII}*$/u;
const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;
const APOSTROPHES = /[\u2018\u2019\u201b\u02bc]/g;
// No word holds one of these, so cutting here leaves the segmentation as it is.
const BREAKS = /[ \t\r\n]+/;
// What UAX 29 says of lower-case ASCII, 40 times as fast as the segmenter; the spec proves that both agree.
// Underscores alone match, too, and are dropped after: excluding them here would take quadratic time on a run of them.
const ASCII_WORD = /\w+(?:(?:(?<=[a-z])[:.'](?=[a-z])|(?<=[0-9])[,;.'](?=[0-9]))\w+)*/g;

// Longer than any English word: hashes, encoded data, addresses.
const LONGEST_STEMMED = 40;
const STEM_CACHE_WORDS = 50_000;
/** Stemming takes 15 us a word and texts repeat theirs. Single words, of all tenants; never a text. */
const stems = new Map<string, string>();

/**
 * The index terms of a text, in order, repeats kept: NFKC, lower case, Unicode words (UAX 29), English stop words
 * dropped, Snowball English (Porter2) stems. Texts and queries go through this same function.
 */
export function analyze(text: string): string[] {
  const terms: string[] = [];
  for (const word of words(text.normalize("NFKC").toLowerCase().replace(APOSTROPHES, "'"))) {
    if (!STOP_WORDS.has(word)) terms.push(stem(word));
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

function stem(word: string): string {
  const known = stems.get(word);
  if (known !== undefined) return known;
  const own = ownCopy(word);
  if (own.length > LONGEST_STEMMED) return own;
  const stemmed = STEMMER.stem(own);
  if (stems.size >= STEM_CACHE_WORDS) stems.clear();
  stems.set(own, stemmed);
  return stemmed;
}

/** A slice keeps its whole text alive in V8; an index of terms must not hold the texts they came from. */
function ownCopy(slice: string): string {
  return Array.from(slice).join("");
}
