import { z } from "zod";
import { FIGURE } from "./figure.js";

export const KINDS = ["security", "regression", "perf", "gpu"] as const;
export type Kind = (typeof KINDS)[number];

/** As toISOString writes it, so that there is one way to write a time. */
export const TIME = z.string().refine((text) => !Number.isNaN(Date.parse(text)) && new Date(text).toISOString() === text);

export const FINDINGS = z.strictObject({
  kind: z.enum(KINDS),
  version: z.string().regex(/^v\d+\.\d+\.\d+(?:[-+][A-Za-z0-9.+-]+)?$/),
  commit: z.string().regex(/^[0-9a-f]{40}$/),
  started_at: TIME,
  ended_at: TIME,
  machine: z.strictObject({ cpus: z.string(), memory_gib: z.number(), os: z.string(), node: z.string(), openssl: z.string() }),
  settings: z.array(z.string()),
  figures: z.array(FIGURE).min(1),
  /** What is not there and was not tried. */
  not_yet: z.array(z.string()),
});
/** What an approval found. Whether it passed follows from its figures. */
export type Findings = z.infer<typeof FINDINGS>;
