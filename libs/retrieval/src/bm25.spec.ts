import fc from "fast-check";
import { Bm25 } from "./bm25.js";
import { Postings } from "./postings.js";

function scores(index: Bm25, terms: string[], rows = 3): number[] {
  const answer = new Float64Array(rows);
  index.score(terms, answer);
  return [...answer];
}

function threeRows(): Bm25 {
  const index = new Bm25();
  index.add(0, ["cat", "dog", "cat"]);
  index.add(1, ["dog"]);
  index.add(2, ["fish", "tree"]);
  return index;
}

function expectClose(actual: number[], expected: number[]): void {
  expect(actual).toHaveLength(expected.length);
  for (const [at, value] of expected.entries()) expect(actual[at]).toBeCloseTo(value, 12);
}

describe("Bm25", () => {
  it("scores as worked out by hand", () => {
    // N 3, average length 2. cat: df 1, idf ln(1 + 2.5/1.5); row 0: tf 2, length 3, 0.9 (0.6 + 0.4 * 3/2) = 1.08.
    expectClose(scores(threeRows(), ["cat"]), [(Math.log(8 / 3) * 2) / 3.08, 0, 0]);
    // dog: df 2, idf ln(1 + 1.5/2.5); row 1: tf 1, length 1, 0.9 (0.6 + 0.4 * 1/2) = 0.72.
    expectClose(scores(threeRows(), ["dog"]), [Math.log(1.6) / 2.08, Math.log(1.6) / 1.72, 0]);
  });

  it("adds the terms of a query, each as often as it is asked for", () => {
    const [cat, dog] = [scores(threeRows(), ["cat"]), scores(threeRows(), ["dog"])];
    expectClose(scores(threeRows(), ["dog", "cat", "dog"]), cat.map((score, row) => score + 2 * dog[row]));
  });

  it("scores 0 for terms it has never seen, without terms and without rows", () => {
    expect(scores(threeRows(), ["bird"])).toEqual([0, 0, 0]);
    expect(scores(threeRows(), [])).toEqual([0, 0, 0]);
    expect(scores(new Bm25(), ["cat"])).toEqual([0, 0, 0]);
  });

  it("is after a removal as if the row had never been added", () => {
    const term = fc.constantFrom("cat", "dog", "fish", "tree");
    const steps = fc.array(fc.tuple(fc.nat(4), fc.array(term, { maxLength: 6 }), fc.boolean()), { maxLength: 30 });
    fc.assert(
      fc.property(steps, fc.array(term, { maxLength: 4 }), (changes, query) => {
        const index = new Bm25();
        const rows = new Map<number, string[]>();
        for (const [row, terms, add] of changes) {
          index.remove(row);
          rows.delete(row);
          if (!add) continue;
          index.add(row, terms);
          rows.set(row, terms);
        }
        const fresh = new Bm25();
        for (const [row, terms] of rows) fresh.add(row, terms);
        expect(scores(index, query, 5)).toEqual(scores(fresh, query, 5));
      }),
    );
  });

  it("gives back its memory when all is removed", () => {
    const index = threeRows();
    const oneRow = new Bm25();
    oneRow.add(0, ["cat"]);
    for (const row of [0, 1, 2]) index.remove(row);
    expect(index.bytes).toBeLessThan(oneRow.bytes);
  });

  it("answers nothing after zero()", () => {
    const index = threeRows();
    index.zero();
    expect(scores(index, ["cat", "dog", "fish"])).toEqual([0, 0, 0]);
    expect(index.bytes).toBe(0);
  });
});

describe("Postings", () => {
  it("leaves nothing in its memory, nor in the memory it has outgrown", () => {
    const postings = new Postings("cat");
    const outgrown = new Set<Uint32Array>();
    for (let row = 1; row <= 9; row++) {
      postings.add(row);
      outgrown.add(postings.entries);
    }
    postings.remove(4);
    expect(postings.df).toBe(8);
    postings.zero();
    for (const entries of outgrown) expect([...entries].every((value) => value === 0)).toBe(true);
  });
});
