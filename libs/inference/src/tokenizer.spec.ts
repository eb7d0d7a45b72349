import * as huggingFace from "@huggingface/tokenizers";
import fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SHIPPED_MODELS_DIR } from "./model-store.js";
import { Tokenizer, type TokenWindow } from "./tokenizer.js";

const MAX_TOKENS = 256;
const json = JSON.parse(readFileSync(join(SHIPPED_MODELS_DIR, "all-minilm-l6-v2/tokenizer.json"), "utf8")) as Record<string, unknown>;
const tokenizer = new Tokenizer(json, MAX_TOKENS);

/** The library's own encoding of a whole text, with no text taken for a special token. */
const reference = new (huggingFace as unknown as {
  Tokenizer: new (json: object, config: object) => { encode(text: string, options: object): { ids: number[] } };
}).Tokenizer({ ...json, added_tokens: [] }, {});
const referenceIds = (text: string) => reference.encode(text, { add_special_tokens: false }).ids;

const [CLS, SEP, UNK] = [101, 102, 100];

/** Text of everything that has its own rule: words, space of every kind, marks, ideographs, syllables, emoji, controls. */
const anyText = (maxParts: number) => fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.string({ maxLength: 12 }) },
      { weight: 4, arbitrary: fc.constantFrom("memory", "Lisbon's", "unbelievably", "e\u0301te\u0301", "日本語", "한국어", "😀", "[SEP]") },
      { weight: 2, arbitrary: fc.constantFrom(" ", "\n", "\t", "\u00a0", "\u2028", "\ufeff", "\u0085", "\u0000", "\u200b") },
      { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
    ),
    { maxLength: maxParts, size: "max" },
  )
  .map((parts) => parts.join(""));

const codePoints = (text: string) => Array.from(text);

function expectWindowsOf(text: string, windows: readonly TokenWindow[]): void {
  expect(windows[0].start).toBe(0);
  expect(windows.at(-1)!.end).toBe(codePoints(text).length);
  for (const { start, end, sequence } of windows) {
    expect(end).toBeGreaterThanOrEqual(start);
    expect(sequence.ids.length).toBeLessThanOrEqual(MAX_TOKENS);
    expect(sequence.typeIds).toHaveLength(sequence.ids.length);
  }
  for (let i = 1; i < windows.length; i++) {
    expect(windows[i].start).toBeGreaterThan(windows[i - 1].start);
    expect(windows[i].start).toBeLessThanOrEqual(windows[i - 1].end);
    expect(windows[i].end).toBeGreaterThan(windows[i - 1].end);
  }
}

describe("Tokenizer", () => {
  it("gives the ids the library gives for the whole text", () => {
    expect(tokenizer.text("The quick brown fox's résumé, 12.5%!").ids).toEqual([CLS, ...referenceIds("The quick brown fox's résumé, 12.5%!"), SEP]);
    fc.assert(
      fc.property(anyText(12), (text) => {
        // A final sigma is told by its neighbours across punctuation, a run longer than a word is cut here.
        fc.pre(!text.includes("Σ") && !/[^\s\p{P}]{33,}/u.test(text));
        expect(tokenizer.ids(text, Infinity)).toEqual(referenceIds(text));
      }),
    );
  });

  it("never takes a caller's text for a special token", () => {
    expect(tokenizer.text("a [SEP] b [CLS]").ids.filter((id) => id === SEP || id === CLS)).toEqual([CLS, SEP]);
  });

  it("cuts a text to what the model reads", () => {
    const { ids } = tokenizer.text("word ".repeat(1000));
    expect(ids).toHaveLength(MAX_TOKENS);
    expect(ids.at(-1)).toBe(SEP);
  });

  it("puts a query and a passage in two segments and cuts the passage", () => {
    const query = tokenizer.ids("where do I live?", 64);
    const short = tokenizer.pair(query, "In Lisbon.");
    expect(short.ids).toEqual([CLS, ...query, SEP, ...referenceIds("In Lisbon."), SEP]);
    expect(short.typeIds).toEqual([0, ...query.map(() => 0), 0, 1, 1, 1, 1]);

    const cut = tokenizer.pair(query, "word ".repeat(1000));
    expect(cut.ids).toHaveLength(MAX_TOKENS);
    expect(cut.ids.slice(0, query.length + 2)).toEqual([CLS, ...query, SEP]);
  });

  it("reads words in base64 or kana of any length instead of one unknown word", () => {
    expect(tokenizer.ids("QmFzZTY0IGlz".repeat(100), Infinity)).not.toContain(UNK);
    expect(tokenizer.ids("カタカナ".repeat(100), Infinity).length).toBeGreaterThan(100);
  });

  it("refuses a tokenizer that is not BERT uncased, naming what differs", () => {
    const cased = { ...json, normalizer: { ...(json["normalizer"] as object), lowercase: false } };
    expect(() => new Tokenizer(cased, MAX_TOKENS)).toThrow("normalizer.lowercase");
  });
});

describe("windows", () => {
  it("cover any text in order, and fit the model, in code points, the same each time", () => {
    fc.assert(
      fc.property(anyText(400), fc.option(fc.string(), { nil: undefined }), (text, speaker) => {
        const windows = tokenizer.windows(text, speaker);
        expectWindowsOf(text, windows);
        expect(tokenizer.windows(text, speaker)).toEqual(windows);
      }),
      { numRuns: 200 },
    );
  });

  it("hold the tokens of the text between their offsets, and share 32 of one long sentence", () => {
    const words = Array.from({ length: 900 }, (_, n) => ["I", "moved", "to", "Lisbon", "—", "in", "2019,", "🙂"][n % 8]);
    const text = words.join(" ");
    const windows = tokenizer.windows(text);
    expect(windows.length).toBeGreaterThan(3);
    for (const { start, end, sequence } of windows) {
      expect(sequence.ids).toEqual([CLS, ...referenceIds(codePoints(text).slice(start, end).join("")), SEP]);
    }
    expect(windows[0].sequence.ids).toHaveLength(MAX_TOKENS);
    const shared = codePoints(text).slice(windows[1].start, windows[0].end).join("");
    expect(referenceIds(shared)).toHaveLength(32);
  });

  it("are of whole sentences, as many as fit, however long each is", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 252 }), fc.constantFrom(" ", "  ", "\n")), { minLength: 1, maxLength: 40 }), (parts) => {
        const sentences = parts.map(([words, space], n) => `😀${n} ${"word ".repeat(words - 1)}end.${space}`);
        const text = `${sentences.join("")}Last`;
        const windows = tokenizer.windows(text);
        expect(windows.map(({ start, end }) => codePoints(text).slice(start, end).join("")).join("")).toBe(text);
        const ends = new Set([...sentences, "Last"].map((_, n, all) => codePoints(all.slice(0, n + 1).join("")).length));
        for (const { end } of windows) expect(ends).toContain(end);
        for (let i = 1; i < windows.length; i++) {
          const next = [...ends].find((end) => end > windows[i - 1].end);
          expect(tokenizer.ids(codePoints(text).slice(windows[i - 1].start, next).join(""), Infinity).length).toBeGreaterThan(MAX_TOKENS - 2);
        }
      }),
    );
  });

  it("end with a paragraph where that fills half of one", () => {
    const [long, short] = ["All of it is said here. ".repeat(30), "Just this. ".repeat(10)].map((paragraph) => paragraph.trim());
    for (const [first, expected] of [[long, `${long}\n\n`], [short, short]] as const) {
      const text = `${first}\n\n${"More follows. ".repeat(100)}`;
      const [window] = tokenizer.windows(text);
      const seen = codePoints(text).slice(window.start, window.end).join("");
      if (first === long) expect(seen).toBe(expected);
      else expect(seen.startsWith(`${expected}\n\nMore follows. More`)).toBe(true);
    }
  });

  it("cut only the sentence that is longer than a window, and go on after it", () => {
    const long = `Word ${"word ".repeat(600)}end. `;
    const text = `Before it. ${long}After it.`;
    const windows = tokenizer.windows(text);
    const seen = windows.map(({ start, end }) => codePoints(text).slice(start, end).join(""));
    expect(seen[0]).toBe("Before it. ");
    expect(seen.slice(1, -1).every((part) => /^word /i.test(part) && !part.includes("end"))).toBe(true);
    expect(seen.at(-1)).toMatch(/^word .* end\. After it\.$/);
  });

  it("start with the speaker, outside the offsets", () => {
    const windows = tokenizer.windows("word ".repeat(600), "Ana");
    for (const { sequence } of windows) expect(sequence.ids.slice(1, 3)).toEqual(referenceIds("Ana:"));
    expectWindowsOf("word ".repeat(600), windows);
  });

  it("leave room for the text beside a speaker of any length", () => {
    expectWindowsOf("word ".repeat(600), tokenizer.windows("word ".repeat(600), "Ana Maria ".repeat(500)));
  });

  it("are one for a short text, and one for nothing but space or control characters", () => {
    expect(tokenizer.windows("hello")).toMatchObject([{ start: 0, end: 5 }]);
    expect(tokenizer.windows("   \n")).toMatchObject([{ start: 0, end: 4, sequence: { ids: [CLS, SEP] } }]);
    expect(tokenizer.windows("\u0001".repeat(3))).toMatchObject([{ start: 0, end: 3 }]);
  });

  it.each([
    ["one letter", "a"],
    ["punctuation", "!"],
    ["ideographs", "漢"],
    ["Hangul syllables", "한"],
    ["emoji", "😀"],
    ["joined emoji", "👩‍👩‍👧"],
    ["combining marks", "\u0301"],
    ["letters with marks", "e\u0301"],
    ["spaces", " "],
    ["control characters", "\u0001"],
    ["lone surrogates", "\ud800"],
    ["sentences", "A b. "],
    ["lines", "a\n"],
    ["empty lines", "\n"],
    ["marks that end sentences", "。"],
    ["runs of many words once decomposed", "한".repeat(33) + "≠"],
  ])("come within two seconds for 50,000 code points of %s", (_name, unit) => {
    const text = codePoints(unit.repeat(Math.ceil(50_000 / codePoints(unit).length))).slice(0, 50_000).join("");
    const startMs = performance.now();
    const windows = tokenizer.windows(text);
    expect(performance.now() - startMs).toBeLessThan(2000);
    expectWindowsOf(text, windows);
  });
});
