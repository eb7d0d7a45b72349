import { CONFIGURATIONS } from "./configurations.js";
import type { Corpus } from "./corpus.js";
import type { EvaluatedUser } from "./evaluated-user.js";
import { scoresOf, type Scores } from "./metrics.js";

/** Of one question, by configuration. */
export type QuestionScores = Readonly<Record<string, Scores>>;

/** Questions under way at the same time. */
const CONCURRENCY = 2;

/** Stores the corpus and asks each question in every configuration; in the order of the questions. */
export async function evaluate(user: EvaluatedUser, { documents, questions }: Corpus, progress: (asked: number) => void): Promise<QuestionScores[]> {
  await user.add(documents);
  const scores = new Array<QuestionScores>(questions.length);
  const waiting = questions.entries();
  let asked = 0;
  const lane = async (): Promise<void> => {
    for (const [at, { text, relevant }] of waiting) {
      const ofQuestion: Record<string, Scores> = {};
      for (const configuration of CONFIGURATIONS) ofQuestion[configuration.name] = scoresOf(await user.search(text, configuration), relevant);
      scores[at] = ofQuestion;
      progress(++asked);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  return scores;
}
