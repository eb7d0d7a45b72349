import snowball from "snowball-stemmers";

const STEMMER = snowball.newStemmer("english");

// Longer than any English word: hashes, encoded data, addresses.
const LONGEST_STEMMED = 40;
const MOST_WORDS = 50_000;

/** Rough, in bytes: a word, its stem and their map entry. */
const WORD_BYTES = 150;

/**
 * Stems of one tenant's words, which its texts repeat: stemming takes 15 us a word. What a tenant said goes with its index,
 * so there is no such memory that all tenants share.
 */
export class Stems {
  readonly #stems = new Map<string, string>();

  /** Roughly what they take in memory. */
  get bytes(): number {
    return this.#stems.size * WORD_BYTES;
  }

  /** word: lower case. One that is too long for a word is its own stem. */
  of(word: string): string {
    const known = this.#stems.get(word);
    if (known !== undefined) return known;
    const own = ownCopy(word);
    if (own.length > LONGEST_STEMMED) return own;
    const stemmed = STEMMER.stem(own);
    // The stemmer keeps what it worked on.
    STEMMER.stem("");
    if (this.#stems.size >= MOST_WORDS) this.#stems.clear();
    this.#stems.set(own, stemmed);
    return stemmed;
  }

  clear(): void {
    this.#stems.clear();
  }
}

/** A slice keeps its whole text alive in V8; an index of terms must not hold the texts they came from. */
function ownCopy(slice: string): string {
  return Array.from(slice).join("");
}
