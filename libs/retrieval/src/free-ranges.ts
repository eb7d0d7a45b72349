/** A range of addresses, from `start` to before `end`. */
interface Range {
  start: number;
  end: number;
}

/** Which addresses of a memory are free. Takes from the lowest that fits, and joins what is given back with its neighbours. */
export class FreeRanges {
  /** By address, none touching the next. */
  readonly #ranges: Range[] = [];

  /** The start of so many free addresses, which are free no longer; undefined where there are none. */
  take(size: number): number | undefined {
    const at = this.#ranges.findIndex(({ start, end }) => end - start >= size);
    if (at === -1) return undefined;
    const range = this.#ranges[at];
    const { start } = range;
    range.start += size;
    if (range.start === range.end) this.#ranges.splice(at, 1);
    return start;
  }

  /** start: of so many addresses, none of them free. */
  giveBack(start: number, size: number): void {
    const end = start + size;
    const following = this.#ranges.findIndex((range) => range.start >= end);
    const at = following === -1 ? this.#ranges.length : following;
    const joinsBefore = at > 0 && this.#ranges[at - 1].end === start;
    const joinsAfter = at < this.#ranges.length && this.#ranges[at].start === end;
    if (joinsBefore && joinsAfter) {
      this.#ranges[at - 1].end = this.#ranges[at].end;
      this.#ranges.splice(at, 1);
    } else if (joinsBefore) {
      this.#ranges[at - 1].end = end;
    } else if (joinsAfter) {
      this.#ranges[at].start = start;
    } else {
      this.#ranges.splice(at, 0, { start, end });
    }
  }
}
