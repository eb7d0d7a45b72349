import { html, type Html } from "./html.js";

/** null: there is nothing to say. */
export type Cell = string | number | null;

export interface TableOptions {
  readonly caption: string;
  readonly head: readonly string[];
  /** Of each row the first cell says what it is about. */
  readonly rows: readonly (readonly [Cell, ...Cell[]])[];
}

export function table({ caption, head, rows }: TableOptions): Html {
  const classes = head.map((_, i) => (rows.some((row) => typeof row[i] === "number") ? "number" : "text"));
  const cells = (row: TableOptions["rows"][number]) => row.map((value, i) => (i === 0 ? html`<th scope="row">${shown(value)}</th>` : html`<td class="${classes[i] ?? "text"}">${shown(value)}</td>`));
  return html`<div class="scroll"><table><caption>${caption}</caption>
<thead><tr>${head.map((name, i) => html`<th scope="col" class="${classes[i] ?? "text"}">${name}</th>`)}</tr></thead>
<tbody>${rows.length === 0 ? html`<tr><td colspan="${head.length}">none</td></tr>` : rows.map((row) => html`<tr>${cells(row)}</tr>\n`)}</tbody></table></div>\n`;
}

/** The numbers of a plot, for who cannot see it or wants them. */
export function numbers(options: TableOptions): Html {
  return html`<details><summary>Numbers: ${options.caption}</summary>${table(options)}</details>\n`;
}

function shown(value: Cell): string {
  return value === null ? "–" : String(value);
}

/** For people, to a tenth, hundredth and so on. */
export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
