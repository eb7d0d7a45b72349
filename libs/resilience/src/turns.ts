interface Line {
  underWay: number;
  readonly waiting: (() => void)[];
}

/** Work of which so many pieces of each name are under way at once; the others wait for their turn, first come first served. */
export class Turns {
  readonly #lines = new Map<string, Line>();

  constructor(private readonly atOnce: number) {}

  /** @throws what the work throws */
  async take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(name) ?? { underWay: 0, waiting: [] };
    this.#lines.set(name, line);
    if (line.underWay < this.atOnce) line.underWay++;
    else await new Promise<void>((resolve) => { line.waiting.push(resolve); });
    try {
      return await work();
    } finally {
      const next = line.waiting.shift();
      // The place passes on once whoever had it has seen what came of it.
      if (next !== undefined) setImmediate(next);
      else if (--line.underWay === 0) this.#lines.delete(name);
    }
  }
}
