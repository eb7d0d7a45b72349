/** The best k of the numbers from 0 to before n, best first. before(a, b): whether a ranks above b; a total order. */
export function topK(n: number, k: number, before: (a: number, b: number) => boolean): number[] {
  const best: number[] = [];
  for (let item = 0; item < n; item++) {
    if (best.length === k && (k === 0 || !before(item, best[k - 1]))) continue;
    let low = 0;
    let high = best.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (before(item, best[middle])) high = middle;
      else low = middle + 1;
    }
    best.splice(low, 0, item);
    if (best.length > k) best.pop();
  }
  return best;
}
