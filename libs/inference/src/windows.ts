import type { Boundary } from "./sentence-ends.js";

/** The least part of a text that is tokenised alone, with the separators after it. */
export interface Piece {
  /** Code points of the text, end exclusive. It starts where the piece before it ends. */
  end: number;
  ids: readonly number[];
  /** What ends with it. */
  boundary: Boundary;
}

/** Tokens that two windows of one sentence share, so that no part of it is seen without its neighbours. */
const OVERLAP_TOKENS = 32;

/** Pieces of a window: from `first` to before `end`. */
export interface Cut {
  first: number;
  end: number;
}

/**
 * Cuts pieces into windows of at most `room` tokens: each as many whole sentences as fit, or fewer where a paragraph ends past
 * half of it. A sentence that is longer is cut where the room ends, and the windows of it overlap. Any piece and the overlap must fit.
 */
export function cutWindows(pieces: readonly Piece[], room: number): Cut[] {
  const cuts: Cut[] = [];
  for (let first = 0; first < pieces.length;) {
    const { end, isWhole } = windowEnd(pieces, first, room);
    cuts.push({ first, end });
    first = isWhole ? end : overlapStart(pieces, first, end);
  }
  return cuts;
}

function windowEnd(pieces: readonly Piece[], first: number, room: number): { end: number; isWhole: boolean } {
  let end = first;
  let sentence: number | undefined;
  let paragraph: number | undefined;
  for (let tokens = 0; end < pieces.length; end++) {
    tokens += pieces[end].ids.length;
    if (tokens > room) break;
    const { boundary } = pieces[end];
    if (boundary !== "none") sentence = end + 1;
    if (boundary === "paragraph" && 2 * tokens >= room) paragraph = end + 1;
  }
  if (end === pieces.length) return { end, isWhole: true };
  const whole = paragraph ?? sentence;
  return whole === undefined ? { end, isWhole: false } : { end: whole, isWhole: true };
}

/** Where the window after pieces[first, end) begins: as many pieces back as fit the overlap, at least one. */
function overlapStart(pieces: readonly Piece[], first: number, end: number): number {
  let start = end - 1;
  let tokens = pieces[start].ids.length;
  while (start - 1 > first && tokens + pieces[start - 1].ids.length <= OVERLAP_TOKENS) {
    start--;
    tokens += pieces[start].ids.length;
  }
  return start;
}
