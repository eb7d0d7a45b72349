/** One line that a terminal shows as it is: a text of somebody else's can hold sequences that move the cursor or worse. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ");
}

export function clip(text: string, width: number): string {
  const characters = Array.from(text);
  return characters.length <= width ? text : `${characters.slice(0, width - 3).join("")}...`;
}

/** Rows in columns as wide as their widest cell; those named in `right` end together. The last is never padded. */
export function table(rows: readonly (readonly string[])[], { right = [] }: { right?: readonly number[] } = {}): string {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows
    .map((row) => row.map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]) : i === row.length - 1 ? cell : cell.padEnd(widths[i]))).join("  ").trimEnd())
    .join("\n");
}

/** Less than this between two drawings: each costs more than what it shows. */
const REDRAW_MS = 100;
const BAR_WIDTH = 30;

/** How far a long work is, on a terminal; nothing anywhere else. */
export class ProgressBar {
  #drawnAtMs = -Infinity;
  readonly #startedAtMs = performance.now();

  /** total: undefined where it is not known. */
  constructor(
    private readonly out: NodeJS.WriteStream,
    private readonly unit: string,
    private readonly total: number | undefined,
    private readonly begunAt = 0,
  ) {}

  show(done: number): void {
    const nowMs = performance.now();
    if (!this.out.isTTY || nowMs - this.#drawnAtMs < REDRAW_MS) return;
    this.#drawnAtMs = nowMs;
    const rate = ((done - this.begunAt) / Math.max(1, nowMs - this.#startedAtMs)) * 1000;
    this.out.write(`\r\x1b[K${progressLine({ done, total: this.total, unit: this.unit, rate })}`);
  }

  end(): void {
    if (this.out.isTTY) this.out.write("\r\x1b[K");
  }
}

/** rate: units a second. */
export function progressLine({ done, total, unit, rate }: { done: number; total: number | undefined; unit: string; rate: number }): string {
  const speed = `${rate.toFixed(0)} a second`;
  if (total === undefined) return `${done} ${unit}, ${speed}`;
  const filled = total === 0 ? BAR_WIDTH : Math.floor((done / total) * BAR_WIDTH);
  return `[${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}] ${done} of ${total} ${unit}, ${speed}`;
}
