import { placeOn, type Axis } from "./axis.js";
import { html, type Html } from "./html.js";

/** y null: nothing is known there. */
export interface Point {
  readonly x: number;
  readonly y: number | null;
}

/** How it is drawn is said by the style sheet: colour by track, dashes by what it is. */
export interface Series {
  readonly className: string;
  readonly points: readonly Point[];
  /** Single points instead of a line. */
  readonly marker?: Marker;
}

/** A time at which something happened. */
export interface Event {
  readonly x: number;
  readonly label: string;
  readonly className: string;
}

export interface PlotOptions {
  /** Once in a document. */
  readonly id: string;
  readonly title: string;
  /** What is to be seen, in words. */
  readonly description: string;
  readonly size: "wide" | "small";
  /** Time. */
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  /** A value that must not be passed. */
  readonly limit?: { readonly at: number; readonly label: string } | undefined;
  readonly events?: readonly Event[];
}

type Marker = keyof typeof SIGNS;
/** From where they stand. */
export const SIGNS = {
  cross: "m-4 -4l8 8m0 -8l-8 8",
  plus: "m-5 0h10m-5 -5v10",
  ring: "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
} as const;

const SIZES = { wide: { width: 960, height: 260 }, small: { width: 470, height: 230 } };
const MARGIN = { left: 62, right: 14, top: 26, bottom: 42 };
/** In pixels. Events that are closer than a label is wide share one. */
const LABEL_WIDTH = 26;

/** A picture with its title and description, and without any number that is not also in the text beside it. */
export function plot({ id, title, description, size, x, y, series, limit, events = [] }: PlotOptions): Html {
  const { width, height } = SIZES[size];
  const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
  const toX = (value: number) => pixels(MARGIN.left + placeOn(x, value) * (right - MARGIN.left));
  const toY = (value: number) => pixels(bottom - placeOn(y, value) * (bottom - MARGIN.top));
  const path = ({ className, points, marker }: Series) => html`<path class="${marker === undefined ? "line" : "marker"} ${className}" d="${marker === undefined ? lineOf(points, toX, toY) : markersOf(points, SIGNS[marker], toX, toY)}" />\n`;
  return html`<figure class="${size}"><svg viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${id}-title ${id}-text">
<title id="${id}-title">${title}</title><desc id="${id}-text">${description}</desc>
<text class="title" x="${MARGIN.left}" y="15">${title}</text>
${y.ticks.map(({ at, label }) => html`<path class="grid" d="M${MARGIN.left} ${toY(at)}H${right}" /><text class="end" x="${MARGIN.left - 6}" y="${toY(at) + 4}">${label}</text>`)}
${x.ticks.map(({ at, label }) => html`<path class="tick" d="M${toX(at)} ${bottom}v5" /><text class="middle" x="${toX(at)}" y="${bottom + 18}">${label}</text>`)}
<text class="middle quiet" x="${(MARGIN.left + right) / 2}" y="${height - 6}">min:s since the candidate's first share</text>
<path class="frame" d="M${MARGIN.left} ${MARGIN.top}V${bottom}H${right}" />
${limit === undefined ? [] : html`<path class="limit" d="M${MARGIN.left} ${toY(limit.at)}H${right}" /><text class="limit-label end" x="${right}" y="15">${limit.label}</text>`}
${series.map(path)}${events.map(({ x: at, className }) => html`<path class="event ${className}" d="M${toX(at)} ${MARGIN.top}V${bottom}" />\n`)}${labelsOf(events, toX).map(({ at, label }) => {
    const side = at - MARGIN.left < LABEL_WIDTH ? "start" : right - at < LABEL_WIDTH ? "end" : "middle";
    return html`<text class="event-label over ${side}" x="${at}" y="${MARGIN.top + 12}">${label}</text>\n`;
  })}</svg></figure>\n`;
}

function labelsOf(events: readonly Event[], toX: (value: number) => number): { at: number; label: string }[] {
  const labels: { at: number; label: string }[] = [];
  for (const { x, label } of [...events].sort((a, b) => a.x - b.x)) {
    const last = labels.at(-1);
    if (last !== undefined && toX(x) - last.at < LABEL_WIDTH) last.label += `, ${label}`;
    else labels.push({ at: toX(x), label });
  }
  return labels;
}

/** Broken where nothing is known; a point alone is a dot, as the ends of the line are round. */
function lineOf(points: readonly Point[], toX: (value: number) => number, toY: (value: number) => number): string {
  return points.map(({ x, y }, i) => (y === null ? "" : (points[i - 1]?.y ?? null) === null ? `M${toX(x)} ${toY(y)}h0` : `L${toX(x)} ${toY(y)}`)).join("");
}

function markersOf(points: readonly Point[], marker: string, toX: (value: number) => number, toY: (value: number) => number): string {
  return points.map(({ x, y }) => (y === null ? "" : `M${toX(x)} ${toY(y)}${marker}`)).join("");
}

/** To a tenth: finer than anybody can see. */
function pixels(value: number): number {
  return Math.round(value * 10) / 10;
}
