import { z } from "zod";

/** A number of a report, and what it must be. */
export const FIGURE = z.strictObject({
  what: z.string().min(1),
  /** null: not measured, which keeps no limit. */
  value: z.number().nullable(),
  /** Empty: a count. */
  unit: z.string(),
  /** Absent: told, and not judged. */
  limit: z.strictObject({ is: z.enum(["at most", "below", "at least"]), value: z.number() }).optional(),
  note: z.string().optional(),
  /** What it was computed from: rounds, tests. */
  details: z.array(z.string()).optional(),
});
export type Figure = z.infer<typeof FIGURE>;

export const atMost = (value: number): Figure["limit"] => ({ is: "at most", value });
export const below = (value: number): Figure["limit"] => ({ is: "below", value });
export const atLeast = (value: number): Figure["limit"] => ({ is: "at least", value });

/** Whether it keeps its limit; what has none fails nothing. */
export function keepsLimit({ value, limit }: Figure): boolean {
  if (limit === undefined) return true;
  if (value === null) return false;
  switch (limit.is) {
    case "at most":
      return value <= limit.value;
    case "below":
      return value < limit.value;
    case "at least":
      return value >= limit.value;
  }
}

/** Every limit kept, of one at least. */
export function passes(figures: readonly Figure[]): boolean {
  return figures.some(({ limit }) => limit !== undefined) && figures.every(keepsLimit);
}
