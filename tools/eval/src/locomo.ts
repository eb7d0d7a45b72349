import { z } from "zod";
import type { Corpus, Document, Question } from "./corpus.js";

// Maharana et al., 2024 (LoCoMo), `locomo10.json`. CC BY-NC 4.0: evaluated on, never trained on, never shipped.

const turn = z.object({ speaker: z.string(), dia_id: z.string(), text: z.string() });

const samples = z.array(z.object({
  sample_id: z.string(),
  /** `session_N` and `session_N_date_time` beside the speakers. */
  conversation: z.record(z.string(), z.unknown()),
  qa: z.array(z.object({ question: z.string(), evidence: z.array(z.string()), category: z.number() })),
})).min(1);

/** Multi-hop, temporal, open-domain and single-hop. The fifth has questions that nothing answers. */
const CATEGORIES: ReadonlySet<number> = new Set([1, 2, 3, 4]);

/**
 * A corpus a conversation, a document a turn. Left out: questions of category 5, and those (5 of 1,540) whose evidence names
 * no turn that is there. json: the file, parsed.
 */
export function readLocomo(json: unknown): Corpus[] {
  return samples.parse(json).map(({ sample_id: name, conversation, qa }) => {
    const documents = turnsOf(conversation);
    const known = new Set(documents.map(({ id }) => id));
    const questions = qa
      .filter(({ category }) => CATEGORIES.has(category))
      .map(({ question, evidence }): Question => ({ text: question, relevant: new Set(turnIds(evidence).filter((id) => known.has(id))) }))
      .filter(({ relevant }) => relevant.size > 0);
    return { name, documents, questions };
  });
}

/** Some strings hold several ids: `D8:6; D9:17`. */
function turnIds(evidence: readonly string[]): string[] {
  return evidence.flatMap((ids) => ids.split(/[;,\s]+/));
}

function turnsOf(conversation: Readonly<Record<string, unknown>>): Document[] {
  const sessions = Object.keys(conversation).flatMap((key) => /^session_(\d+)$/.exec(key)?.[1] ?? []).sort((a, b) => Number(a) - Number(b));
  return sessions.flatMap((number) => {
    const session = `session_${number}`;
    const occurredAt = sessionTime(z.string().parse(conversation[`${session}_date_time`]));
    return z.array(turn).parse(conversation[session]).map(({ dia_id: id, speaker, text }) => ({ id, text, turn: { speaker, session, occurredAt } }));
  });
}

const SESSION_TIME = /^(?<hour>\d{1,2}):(?<minute>\d{2}) (?<half>am|pm) on (?<day>\d{1,2} \w+, \d{4})$/;

/** `1:56 pm on 8 May, 2023`, taken as UTC. */
function sessionTime(text: string): Date {
  const { hour, minute, half, day } = SESSION_TIME.exec(text)?.groups ?? {};
  const at = Date.parse(`${day} UTC`) + ((Number(hour) % 12) + (half === "pm" ? 12 : 0)) * 3_600_000 + Number(minute) * 60_000;
  if (!Number.isFinite(at)) throw new Error(`not the time of a session: ${text}`);
  return new Date(at);
}
