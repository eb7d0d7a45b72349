import type { Track } from "../world.js";

/** Whom a request asks for: a track by its name, or whichever the split gives its credential. */
export type Asked = Track | "split";

export const LOAD_KINDS = ["search", "search_reranked", "search_stream", "add", "update"] as const;
export type LoadKind = (typeof LOAD_KINDS)[number];

/** One request of the load, as it is written into the evidence: no key, no text, no user id. */
export interface LoadRow {
  /** From 1, in the order in which they were sent. */
  n: number;
  /** When it was sent, as toISOString writes it. */
  at: string;
  /** Which of the keys asked, from 0. */
  credential: number;
  asked: Asked;
  /** Who answered, as the load balancer says; null: nobody, or somebody who does not say. */
  track: Track | null;
  kind: LoadKind;
  /** Of HTTP; 0: no answer came. */
  status: number;
  /** Until the whole answer was there, or none was to be expected. */
  ms: number;
  /** Of what was to be reranked, whether it was; null: it was not asked for, or there was no answer. */
  reranked: boolean | null;
  /** Memories that the answer left out because their sealed rows do not open. */
  integrity_failures: number;
  /** A code of the service or of the connection, never a message; null: all is well. */
  error: string | null;
}
