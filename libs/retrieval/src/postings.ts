/** The rows that hold one term, with how often, in no particular order. */
export class Postings {
  /** Pairs of row and term frequency; the first `df` pairs are in use. */
  entries = new Uint32Array(2);
  /** Document frequency: how many rows hold the term. */
  df = 0;

  constructor(readonly term: string) {}

  /** Counts one more occurrence; those of one row must come together. */
  add(row: number): void {
    const last = 2 * (this.df - 1);
    if (this.df > 0 && this.entries[last] === row) {
      this.entries[last + 1]++;
      return;
    }
    if (2 * this.df === this.entries.length) this.#grow();
    this.entries[2 * this.df] = row;
    this.entries[2 * this.df + 1] = 1;
    this.df++;
  }

  remove(row: number): void {
    const last = 2 * (this.df - 1);
    for (let at = 0; at <= last; at += 2) {
      if (this.entries[at] !== row) continue;
      this.entries[at] = this.entries[last];
      this.entries[at + 1] = this.entries[last + 1];
      this.entries.fill(0, last, last + 2);
      this.df--;
      return;
    }
  }

  zero(): void {
    this.entries.fill(0);
    this.df = 0;
  }

  #grow(): void {
    const grown = new Uint32Array(2 * this.entries.length);
    grown.set(this.entries);
    this.entries.fill(0);
    this.entries = grown;
  }
}
