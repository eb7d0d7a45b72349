import { analyze } from "@memseal/retrieval";
import { maya, mayasQuestions, theo, turnsOf } from "./conversations.js";

const turns = [...turnsOf(maya), ...turnsOf(theo)];

describe("the demo's conversations", () => {
  it("have at least 300 turns of two users, each in several sessions, each turn with an id of its own", () => {
    expect(turns.length).toBeGreaterThanOrEqual(300);
    expect(maya.user).not.toBe(theo.user);
    for (const { sessions } of [maya, theo]) expect(sessions.length).toBeGreaterThan(3);
    expect(new Set(turns.map(({ id }) => id)).size).toBe(turns.length);
  });

  it("repeat themselves nowhere: no two turns share over half their word trigrams", () => {
    const trigrams = turns.map(({ text }) => {
      const words = text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
      return new Set(words.slice(2).map((word, i) => `${words[i]} ${words[i + 1]} ${word}`));
    });
    for (const [i, one] of trigrams.entries()) {
      for (const [j, other] of trigrams.slice(0, i).entries()) {
        const shared = [...one].filter((trigram) => other.has(trigram)).length;
        if (2 * shared > Math.min(one.size, other.size)) throw new Error(`${turns[i].id} and ${turns[j].id} share ${shared} trigrams`);
      }
    }
  });
});

describe("the demo's questions", () => {
  const answerOf = (id: string) => turnsOf(maya).find((turn) => turn.id === id);

  it("are 20, each answered by a turn of its own", () => {
    expect(mayasQuestions).toHaveLength(20);
    for (const { answer_turn: id } of mayasQuestions) expect(answerOf(id)).toBeDefined();
    expect(new Set(mayasQuestions.map(({ answer_turn: id }) => id)).size).toBe(20);
  });

  it("share no stem with their answer in at least 8 cases, and say so truly", () => {
    const withoutStem = mayasQuestions.filter(({ question, answer_turn: id }) => {
      const answer = answerOf(id)!;
      const stems = new Set(analyze(`${answer.role}: ${answer.text}`));
      return !analyze(question).some((stem) => stems.has(stem));
    });
    expect(withoutStem.length).toBeGreaterThanOrEqual(8);
    expect(withoutStem.map(({ id }) => id)).toEqual(mayasQuestions.filter(({ paraphrased }) => paraphrased).map(({ id }) => id));
  });
});
