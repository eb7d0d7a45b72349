/** Of one question; each from 0 to 1. */
export interface Scores {
  readonly recallAt10: number;
  readonly recallAt50: number;
  readonly ndcgAt10: number;
  readonly mrr: number;
}

export type Metric = keyof Scores;

const CUT = 10;

/** ranked: ids, best first, none twice. relevant: at least one. */
export function scoresOf(ranked: readonly string[], relevant: ReadonlySet<string>): Scores {
  return {
    recallAt10: recallAt(CUT, ranked, relevant),
    recallAt50: recallAt(50, ranked, relevant),
    ndcgAt10: ndcgAt(CUT, ranked, relevant),
    mrr: reciprocalRankAt(CUT, ranked, relevant),
  };
}

/** Which part of the relevant are among the first k. */
function recallAt(k: number, ranked: readonly string[], relevant: ReadonlySet<string>): number {
  return ranked.slice(0, k).filter((id) => relevant.has(id)).length / relevant.size;
}

/** Binary relevance, discount log2(rank + 1), over the best that k places allow. Source: Järvelin and Kekäläinen, 2002. */
function ndcgAt(k: number, ranked: readonly string[], relevant: ReadonlySet<string>): number {
  const gain = (_id: unknown, at: number): number => 1 / Math.log2(at + 2);
  const ideal = Array.from({ length: Math.min(k, relevant.size) }, gain);
  return sum(ranked.slice(0, k).map((id, at) => (relevant.has(id) ? gain(id, at) : 0))) / sum(ideal);
}

/** 1 over the rank of the first relevant, 0 where it is beyond k. */
function reciprocalRankAt(k: number, ranked: readonly string[], relevant: ReadonlySet<string>): number {
  const at = ranked.slice(0, k).findIndex((id) => relevant.has(id));
  return at === -1 ? 0 : 1 / (at + 1);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
