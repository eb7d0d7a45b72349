import fc from "fast-check";
import snowball from "snowball-stemmers";
import { analyze } from "./analyzer.js";
import { STOP_WORDS } from "./stop-words.js";

/** The definition, without any shortcut: the Unicode segmenter over the whole text, a fresh stemmer. */
function analyzeSlowly(text: string): string[] {
  const stemmer = snowball.newStemmer("english");
  const normalised = text.normalize("NFKC").toLowerCase().replace(/[\u2018\u2019\u201b\u02bc]/g, "'");
  return [...new Intl.Segmenter("en", { granularity: "word" }).segment(normalised)]
    .filter(({ segment, isWordLike }) => isWordLike && /[\p{L}\p{N}]/u.test(segment) && !STOP_WORDS.has(segment))
    .map(({ segment }) => stemmer.stem(segment));
}

describe("analyze", () => {
  // Porter2 answers from the sample vocabulary of the Snowball project; Porter's first algorithm differs on the last four.
  it.each([
    ["consistency", "consist"],
    ["knightly", "knight"],
    ["running", "run"],
    ["organization", "organ"],
    ["generously", "generous"],
    ["communities", "communiti"],
    ["skies", "sky"],
    ["dying", "die"],
  ])("stems %s to %s, as Snowball English does", (word, stemmed) => {
    expect(analyze(word)).toEqual([stemmed]);
  });

  it("drops English stop words, also when they are contracted or capitalised", () => {
    expect(analyze("The cat didn't sit. I’ll say it WASN'T on a mat")).toEqual(["cat", "sit", "say", "mat"]);
  });

  it("finds a word however it is written: case, width, ligature, kind of apostrophe", () => {
    expect(analyze("OFFICE Ｏｆｆｉｃｅ oﬃce office’s office's")).toEqual(Array(5).fill("offic"));
  });

  it("keeps numbers, addresses and words of other scripts", () => {
    expect(analyze("paid 1,000.50 to bob_smith at example.com — Привет, café")).toEqual([
      "paid",
      "1,000.50",
      "bob_smith",
      "example.com",
      "привет",
      "café",
    ]);
  });

  it("finds no term in stop words, punctuation and nothing", () => {
    for (const text of ["", "what is it?", "__ _ !? 🙂 \n"]) expect(analyze(text)).toEqual([]);
  });

  it("takes what is longer than a word as it is", () => {
    const hash = "running".repeat(6);
    expect(analyze(hash)).toEqual([hash]);
  });

  it("cuts ASCII text as the Unicode segmenter does", () => {
    const tricky = fc.constantFrom(...Array.from("aZ09_'.:,;- \n@/\""));
    const ascii = fc.string({ unit: fc.oneof(tricky, fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 1 })), maxLength: 40 });
    fc.assert(fc.property(ascii, (text) => { expect(analyze(text)).toEqual(analyzeSlowly(text)); }), { numRuns: 5000 });
  });

  it("cuts mixed text as the Unicode segmenter does", () => {
    const tricky = fc.constantFrom(...Array.from("aZ09_'.:, \t\r\n’“é\u0301\u200d\ufeff\u00a0ßß中文かカไทยשא״🙂"));
    const mixed = fc.string({ unit: fc.oneof(tricky, fc.string({ unit: "binary", minLength: 1, maxLength: 1 })), maxLength: 30 });
    fc.assert(fc.property(mixed, (text) => { expect(analyze(text)).toEqual(analyzeSlowly(text)); }), { numRuns: 2000 });
  });
});

describe("a text of one character, 50,000 times", () => {
  // Far above what linear time needs, far below what quadratic time takes (seconds).
  it.each(["_", "a", "1", "'", ".", "a.", "1,", " _", "é_", "_a"])("is analysed in linear time: %j", (unit) => {
    const text = unit.repeat(50_000 / unit.length);
    const startedAt = performance.now();
    analyze(text);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});
