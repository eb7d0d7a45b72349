import * as huggingFace from "@huggingface/tokenizers";
import { StartupError } from "@memseal/errors";
import { z } from "zod";
import { SentenceEnds } from "./sentence-ends.js";
import { cutWindows, type Piece } from "./windows.js";

// The package's own types do not resolve under NodeNext: their imports have no extension.
const { BertNormalizer, BertPreTokenizer } = huggingFace as unknown as {
  BertNormalizer: new (config: object) => { normalize(text: string): string };
  BertPreTokenizer: new () => { pre_tokenize(text: string): string[] };
};

/** A name; more of it would push the text out of its own window. */
const MAX_SPEAKER_TOKENS = 32;

/**
 * A run without space or punctuation (base64, kana) that is longer than a word is read in pieces of this many
 * code points. NFD makes at most three of one (Hangul), so a piece is never longer than a word.
 */
const LONG_RUN_PIECE = 33;

const SEPARATORS = "\\t\\n\\r\\p{Zs}\\u2028\\u2029";
// Each is a token boundary on both sides: punctuation as BERT sees it, and ideographs of the basic plane.
const ALONE = "\\p{P}!-\\/:-@\\[-`{-~\\u3400-\\u4DBF\\u4E00-\\u9FFF\\uF900-\\uFAFF";
const PIECES = new RegExp(`[${SEPARATORS}]+|[${ALONE}]|[^${ALONE}${SEPARATORS}]+`, "gu");
const SEPARATOR = new RegExp(`^[${SEPARATORS}]`, "u");
const ASCII = /^[!-~]+$/;
const ASTRAL = /[\u{10000}-\u{10FFFF}]/gu;

/** The one layout this reads: BERT uncased WordPiece, as tokenizer.json describes it. */
const bertUncased = z.object({
  normalizer: z.looseObject({
    type: z.literal("BertNormalizer"),
    clean_text: z.literal(true),
    handle_chinese_chars: z.literal(true),
    strip_accents: z.union([z.null(), z.literal(true)]),
    lowercase: z.literal(true),
  }),
  pre_tokenizer: z.object({ type: z.literal("BertPreTokenizer") }),
  model: z.object({
    type: z.literal("WordPiece"),
    unk_token: z.string(),
    continuing_subword_prefix: z.string(),
    // BERT's own; two such words and the overlap fit every window, so each window reaches past the one before it.
    max_input_chars_per_word: z.literal(100),
    vocab: z.record(z.string(), z.number().int().nonnegative()),
  }),
});

/** Token ids of one model input, special tokens included, and which segment each belongs to. */
export interface TokenSequence {
  ids: readonly number[];
  /** 0 for a text or a query, 1 for a passage. */
  typeIds: readonly number[];
}

/** A span of a text that the model reads in one run. */
export interface TokenWindow {
  /** Code points of the text, end exclusive. */
  start: number;
  end: number;
  sequence: TokenSequence;
}

/**
 * BERT uncased WordPiece. A text is cut where BERT itself cuts it and each piece is tokenised alone, so token counts
 * add up, offsets are known, and reading stops where the model does. No text of a caller becomes a special token.
 * Source: Devlin et al., 2018 (BERT); Wu et al., 2016, 4.1 (WordPiece).
 */
export class Tokenizer {
  readonly #normalizer: { normalize(text: string): string };
  readonly #preTokenizer = new BertPreTokenizer();
  readonly #vocabulary: ReadonlyMap<string, number>;
  readonly #prefix: string;
  readonly #maxWordChars: number;
  /** UTF-16 units of the longest vocabulary entry: no longer substring of a word need be looked up. */
  readonly #longestEntry: number;
  readonly #unknown: number;
  readonly #cls: number;
  readonly #sep: number;

  /**
   * tokenizerJson: tokenizer.json, parsed. maxTokens: what the model reads, [CLS] and [SEP] included.
   * @throws StartupError when it is not a BERT uncased tokenizer
   */
  constructor(tokenizerJson: unknown, readonly maxTokens: number) {
    const parsed = bertUncased.safeParse(tokenizerJson);
    if (!parsed.success) {
      const faults = parsed.error.issues.map((issue) => issue.path.join("."));
      throw new StartupError(`tokenizer.json is not of a BERT uncased model (${faults.join(", ")}); use one of the models that ship`);
    }
    const { normalizer, model } = parsed.data;
    this.#normalizer = new BertNormalizer(normalizer);
    this.#vocabulary = new Map(Object.entries(model.vocab));
    this.#prefix = model.continuing_subword_prefix;
    this.#maxWordChars = model.max_input_chars_per_word;
    this.#longestEntry = Math.max(...Array.from(this.#vocabulary.keys(), (entry) => entry.length));
    this.#unknown = this.#special(model.unk_token);
    this.#cls = this.#special("[CLS]");
    this.#sep = this.#special("[SEP]");
  }

  /** The first `limit` token ids of a text, without special tokens. */
  ids(text: string, limit: number): number[] {
    const ids: number[] = [];
    for (const piece of this.#pieces(text)) {
      ids.push(...piece.ids);
      if (ids.length >= limit) return ids.slice(0, limit);
    }
    return ids;
  }

  /** [CLS] text [SEP], cut to what the model reads. */
  text(text: string): TokenSequence {
    return this.#sequence(this.ids(text, this.maxTokens - 2));
  }

  /** [CLS] query [SEP] passage [SEP], the passage cut to what the model reads. queryIds: from `ids`, capped by the caller. */
  pair(queryIds: readonly number[], passage: string): TokenSequence {
    const passageIds = this.ids(passage, this.maxTokens - 3 - queryIds.length);
    return {
      ids: [this.#cls, ...queryIds, this.#sep, ...passageIds, this.#sep],
      typeIds: [...new Array<number>(queryIds.length + 2).fill(0), ...new Array<number>(passageIds.length + 1).fill(1)],
    };
  }

  /**
   * The windows of a text (cutWindows): in order, covering it, `speaker: ` before each one's tokens.
   * A text of nothing the model reads (space, control characters) is one window.
   */
  windows(text: string, speaker?: string): TokenWindow[] {
    const prefix = speaker === undefined ? [] : this.ids(`${speaker}: `, MAX_SPEAKER_TOKENS);
    const pieces = [...this.#pieces(text)];
    const endOf = (piece: number) => (piece === pieces.length ? codePoints(text) : (pieces[piece - 1]?.end ?? 0));
    if (pieces.length === 0) return [{ start: 0, end: endOf(0), sequence: this.#sequence(prefix) }];
    return cutWindows(pieces, this.maxTokens - 2 - prefix.length).map(({ first, end }) => ({
      start: endOf(first),
      end: endOf(end),
      sequence: this.#sequence([...prefix, ...pieces.slice(first, end).flatMap(({ ids }) => ids)]),
    }));
  }

  /** Pieces of at most `max_input_chars_per_word` tokens, made one at a time. */
  *#pieces(text: string): Generator<Piece> {
    const sentences = new SentenceEnds();
    let pending: Piece | undefined;
    let separators = "";
    let end = 0;
    for (const [match] of text.matchAll(PIECES)) {
      if (SEPARATOR.test(match)) {
        separators = match;
        end += match.length;
        if (pending) pending.end = end;
        continue;
      }
      if (pending) pending.boundary = sentences.before(match, separators);
      separators = "";
      sentences.read(match);
      for (const run of this.#runs(match)) {
        if (pending) yield pending;
        end += run.codePoints;
        pending = { end, ids: run.ids, boundary: "none" };
      }
    }
    if (pending) yield pending;
  }

  /** One run as it is, or cut where it is longer than a word. */
  #runs(run: string): { codePoints: number; ids: readonly number[] }[] {
    if (run.length <= this.#maxWordChars) {
      const ids = this.#encode(run);
      // A sign that decomposes to punctuation ("not equal") makes several words of one run.
      if (ids.length <= this.#maxWordChars) return [{ codePoints: codePoints(run), ids }];
    }
    const points = Array.from(run);
    return Array.from({ length: Math.ceil(points.length / LONG_RUN_PIECE) }, (_, n) => {
      const part = points.slice(n * LONG_RUN_PIECE, (n + 1) * LONG_RUN_PIECE);
      return { codePoints: part.length, ids: this.#encode(part.join("")) };
    });
  }

  #encode(run: string): number[] {
    // An ASCII run is one word already, and lower case is all that normalising does to it.
    if (ASCII.test(run)) return this.#wordPieces(run.toLowerCase());
    return this.#preTokenizer.pre_tokenize(this.#normalizer.normalize(run)).flatMap((word) => this.#wordPieces(word));
  }

  /** Greedy longest match first; a word with a part that is in no entry is unknown as a whole. */
  #wordPieces(word: string): number[] {
    if (codePoints(word) > this.#maxWordChars) return [this.#unknown];
    const ids: number[] = [];
    for (let start = 0; start < word.length;) {
      let end = Math.min(word.length, start + this.#longestEntry);
      let id: number | undefined;
      for (; end > start; end--) {
        const part = word.slice(start, end);
        id = this.#vocabulary.get(start === 0 ? part : this.#prefix + part);
        if (id !== undefined) break;
      }
      if (id === undefined) return [this.#unknown];
      ids.push(id);
      start = end;
    }
    return ids;
  }

  #sequence(ids: readonly number[]): TokenSequence {
    return { ids: [this.#cls, ...ids, this.#sep], typeIds: new Array<number>(ids.length + 2).fill(0) };
  }

  #special(token: string): number {
    const id = this.#vocabulary.get(token);
    if (id === undefined) throw new StartupError(`tokenizer.json has no ${token} token; use one of the models that ship`);
    return id;
  }
}

function codePoints(text: string): number {
  return text.length - (text.match(ASTRAL)?.length ?? 0);
}
