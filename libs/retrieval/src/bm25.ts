import { Postings } from "./postings.js";

// Source: Anserini's defaults; measured best here too on dialogue turns.
const K1 = 0.9;
const B = 0.4;

// Rough, in bytes: a term's map entry, string and Postings; a reference.
const TERM_BYTES = 200;
const REFERENCE_BYTES = 8;

/**
 * An inverted index that scores every row by BM25 (Robertson and Zaragoza 2009, without the constant factor k1 + 1,
 * as Lucene does since 8). N, df and the average length are over all rows, whatever a search filters.
 */
export class Bm25 {
  readonly #postings = new Map<string, Postings>();
  /** By row: the postings of its distinct terms, to take it out again. */
  readonly #termsOf: (Postings[] | undefined)[] = [];
  readonly #lengths: number[] = [];
  #count = 0;
  #totalLength = 0;
  #references = 0;
  #entryBytes = 0;

  get bytes(): number {
    return this.#postings.size * TERM_BYTES + (this.#references + this.#lengths.length) * REFERENCE_BYTES + this.#entryBytes;
  }

  /** row: free, that is never added or removed since. */
  add(row: number, terms: readonly string[]): void {
    const distinct = [...new Set(terms)].map((term) => this.#postingsOf(term));
    for (const postings of distinct) this.#entryBytes -= postings.entries.byteLength;
    for (const term of terms) this.#postingsOf(term).add(row);
    for (const postings of distinct) this.#entryBytes += postings.entries.byteLength;
    this.#termsOf[row] = distinct;
    this.#lengths[row] = terms.length;
    this.#references += distinct.length;
    this.#totalLength += terms.length;
    this.#count++;
  }

  /** Leaves all statistics as if the row had never been added. */
  remove(row: number): void {
    const distinct = this.#termsOf[row];
    if (distinct === undefined) return;
    for (const postings of distinct) {
      postings.remove(row);
      if (postings.df === 0) {
        this.#postings.delete(postings.term);
        this.#entryBytes -= postings.entries.byteLength;
      }
    }
    this.#references -= distinct.length;
    this.#totalLength -= this.#lengths[row];
    this.#count--;
    this.#termsOf[row] = undefined;
    this.#lengths[row] = 0;
  }

  /** Adds each row's score to `scores` (by row). A repeated term counts again. */
  score(terms: readonly string[], scores: Float64Array): void {
    const averageLength = this.#totalLength / this.#count;
    for (const term of terms) {
      const postings = this.#postings.get(term);
      if (postings === undefined) continue;
      const { entries, df } = postings;
      const idf = Math.log(1 + (this.#count - df + 0.5) / (df + 0.5));
      for (let at = 0; at < 2 * df; at += 2) {
        const row = entries[at];
        const tf = entries[at + 1];
        scores[row] += (idf * tf) / (tf + K1 * (1 - B + (B * this.#lengths[row]) / averageLength));
      }
    }
  }

  /** Forgets every row and overwrites the postings. */
  zero(): void {
    for (const postings of this.#postings.values()) postings.zero();
    this.#postings.clear();
    this.#termsOf.length = 0;
    this.#lengths.length = 0;
    this.#count = this.#totalLength = this.#references = this.#entryBytes = 0;
  }

  #postingsOf(term: string): Postings {
    let postings = this.#postings.get(term);
    if (postings === undefined) {
      postings = new Postings(term);
      this.#postings.set(term, postings);
      this.#entryBytes += postings.entries.byteLength;
    }
    return postings;
  }
}
