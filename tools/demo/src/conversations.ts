import { readFileSync } from "node:fs";
import { z } from "zod";

const conversation = z.strictObject({
  user: z.string(),
  sessions: z.array(z.strictObject({
    id: z.string(),
    occurred_at: z.iso.datetime(),
    tags: z.array(z.string()),
    turns: z.array(z.strictObject({ id: z.string(), role: z.string(), text: z.string() })).min(1),
  })).min(1),
});

const questions = z.array(z.strictObject({
  id: z.string(),
  question: z.string(),
  /** The turn that answers it. */
  answer_turn: z.string(),
  expect: z.string(),
  /** True where question and answer share no word. */
  paraphrased: z.boolean(),
}));

export type Conversation = z.infer<typeof conversation>;
export type Question = z.infer<typeof questions>[number];

/** One turn with what its session says of it. */
export interface Turn {
  id: string;
  role: string;
  text: string;
  session: string;
  tags: readonly string[];
  occurredAt: Date;
}

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../data/${name}.json`, import.meta.url), "utf8"));

/** The one whose questions are asked, and the one who must not see the answers. */
export const maya = conversation.parse(read("maya"));
export const theo = conversation.parse(read("theo"));
export const mayasQuestions: readonly Question[] = questions.parse(read("questions"));

const MINUTE_MS = 60_000;

/** A conversation's turns in order, a minute apart within a session. */
export function turnsOf({ sessions }: Conversation): Turn[] {
  return sessions.flatMap(({ id: session, occurred_at: start, tags, turns }) =>
    turns.map(({ id, role, text }, minute) => ({ id, role, text, session, tags, occurredAt: new Date(Date.parse(start) + minute * MINUTE_MS) })),
  );
}
