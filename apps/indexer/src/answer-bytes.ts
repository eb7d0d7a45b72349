import type { SealedMemory } from "@memseal/storage";

/** What the candidates of a search may hold, their passages included: with ids, times and scores less than the 4 MiB that gRPC clients take by default. */
export const CANDIDATES_BYTES = 4_000_000;

/** What a memory is of an answer, nearly: sealing adds some sixty bytes a column. */
export function bytesOf({ textCipher, metaCipher }: Pick<SealedMemory, "textCipher" | "metaCipher">): number {
  return textCipher.length + metaCipher.length;
}

/** The first rows that fit together, and the very first in any case. */
export function firstWithin<Row extends Pick<SealedMemory, "textCipher" | "metaCipher">>(rows: readonly Row[], maxBytes: number): readonly Row[] {
  let bytes = 0;
  const end = rows.findIndex((row, i) => (bytes += bytesOf(row)) > maxBytes && i > 0);
  return end === -1 ? rows : rows.slice(0, end);
}
