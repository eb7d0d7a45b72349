import type { Track } from "../world.js";
import type { Asked, LoadKind } from "./load-row.js";

/** What one request asks. */
export interface LoadRequest {
  readonly asked: Asked;
  /** Which of the keys asks, from 0. */
  readonly credential: number;
  readonly kind: LoadKind;
  /** Of searches: whether the answer is to be reranked. */
  readonly rerank: boolean;
  /** Which of the texts it is about. */
  readonly text: number;
}

type What = Pick<LoadRequest, "kind" | "rerank">;

/** How often what is asked, in fifty. The judge of stream success and of rerank skips needs as many as there are in about 1,600. */
const MIX: readonly (What & { readonly times: number })[] = [
  { kind: "search", rerank: false, times: 21 },
  { kind: "search_stream", rerank: false, times: 17 },
  { kind: "search_stream", rerank: true, times: 3 },
  { kind: "search_reranked", rerank: true, times: 5 },
  { kind: "add", rerank: false, times: 2 },
  { kind: "update", rerank: false, times: 2 },
];

/** Each as far from its like as it can be. */
const CYCLE: readonly What[] = MIX
  .flatMap(({ kind, rerank, times }) => Array.from({ length: times }, (_, i) => ({ what: { kind, rerank }, at: (i + 0.5) / times })))
  .sort((a, b) => a.at - b.at)
  .map(({ what }) => what);

/** One in so many names no track, so that the split is observed. */
const SPLIT_EVERY = 10;
const BOTH: readonly Track[] = ["canary", "stable"];

/**
 * The n-th request of a steady load, from 0. What names a track comes in pairs, the same user and kind to each track, so that both are
 * asked the same; the first of a pair is the candidate in one and stable in the next.
 */
export function steadyRequest(n: number, keys: number): LoadRequest {
  const asks = Math.floor(n / SPLIT_EVERY);
  if (n % SPLIT_EVERY === SPLIT_EVERY - 1) return { asked: "split", credential: asks % keys, ...whatOf(asks), text: asks };
  const named = n - asks;
  const pair = Math.floor(named / 2);
  return { asked: BOTH[(named + pair) % 2], credential: credentialOf(pair, keys), ...whatOf(pair), text: pair };
}

/** Shifted by one each cycle: otherwise a user would ask the same kinds for ever. */
function credentialOf(pair: number, keys: number): number {
  return (pair + Math.floor(pair / CYCLE.length)) % keys;
}

function whatOf(i: number): What {
  return CYCLE[i % CYCLE.length];
}

const BURST_USERS = 5;
const BURST_QUERIES = 50;

/** A hundred requests, one list a user, each to be sent in its order: fifty queries, each to both tracks, one in ten reranked. */
export function burstRequests(keys: number): LoadRequest[][] {
  const users = Math.min(BURST_USERS, keys);
  return Array.from({ length: users }, (_, credential) =>
    Array.from({ length: BURST_QUERIES / BURST_USERS }, (_unused, i) => i).flatMap((i) => {
      const rerank = i === BURST_QUERIES / BURST_USERS - 1;
      const inTurn = i % 2 === 0 ? BOTH : [...BOTH].reverse();
      return inTurn.map((asked): LoadRequest => ({ asked, credential, kind: rerank ? "search_reranked" : "search", rerank, text: credential + i }));
    }));
}
