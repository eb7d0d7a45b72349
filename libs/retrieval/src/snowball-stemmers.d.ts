declare module "snowball-stemmers" {
  interface Stemmer {
    /** Synchronous; keeps no state from one word to the next. */
    stem(word: string): string;
  }
  const snowball: { newStemmer(algorithm: "english"): Stemmer };
  export default snowball;
}
