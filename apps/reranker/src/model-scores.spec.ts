import type { TokenSequence } from "@memseal/inference";
import { Batcher, type CallScope, type LaneSpec } from "./batcher.js";
import type { ModelPool } from "./model-pool.js";
import { ModelScores } from "./model-scores.js";

const patient: CallScope = { signal: new AbortController().signal, deadlineMs: Infinity, caller: "a" };
const free: LaneSpec = { capacity: 100, turn: 32 };

/** A pool whose threads score a pair by its length, and remember how many pairs each run had. */
function scoresOn(provider: "cpu" | "cuda", { spec = free, runMs = 0 } = {}) {
  const runs: number[] = [];
  const queries: string[] = [];
  const scorer = {
    call: async (_method: "score", pairs: TokenSequence[]) => {
      runs.push(pairs.length);
      if (runMs > 0) await new Promise((resolve) => setTimeout(resolve, runMs));
      return pairs.map(({ ids }) => -ids.length);
    },
  };
  const tokeniser = {
    call: (_method: "pairs", query: string, passages: string[]) => {
      queries.push(query);
      return Promise.resolve(passages.map((passage): TokenSequence => ({ ids: Array.from(passage, () => 0), typeIds: [] })));
    },
  };
  const pool = { model: "m", provider, batcher: new Batcher([scorer, scorer], { soon: spec, later: spec }) };
  const tokenisers = { batcher: new Batcher([tokeniser], { passages: { capacity: Infinity, turn: 2 } }) };
  return { scores: new ModelScores(pool as unknown as ModelPool<"rerank">, tokenisers as unknown as ModelPool<"pairs">), runs, queries };
}

const passages = Array.from({ length: 40 }, (_, n) => "x".repeat(1 + (n % 7)));

describe("ModelScores", () => {
  it("scores each passage, in their order, and says how much was read", async () => {
    const { scores } = scoresOn("cpu");
    expect(await scores.score({ query: "q", passages: ["ab", "abcd", "a"] }, patient)).toEqual([{ logit: -2, tokens: 2 }, { logit: -4, tokens: 4 }, { logit: -1, tokens: 1 }]);
    expect(await scores.score({ query: "q", passages: [] }, patient)).toEqual([]);
  });

  it("gives a CPU one pair a run, so that no score depends on what else is in flight", async () => {
    const { scores, runs } = scoresOn("cpu");
    await Promise.all([scores.score({ query: "q", passages }, patient), scores.score({ query: "r", passages }, { ...patient, caller: "b" })]);
    expect(runs).toEqual(Array(80).fill(1));
  });

  it("gives a GPU as many as are tokenised, of all callers", async () => {
    const { scores, runs } = scoresOn("cuda");
    await Promise.all([scores.score({ query: "q", passages }, patient), scores.score({ query: "r", passages }, { ...patient, caller: "b" })]);
    expect(runs.length).toBeLessThan(40);
    expect(runs.reduce((sum, one) => sum + one, 0)).toBe(80);
  });

  it("tells of each score as soon as it is known", async () => {
    const { scores } = scoresOn("cpu");
    const seen: number[] = [];
    await scores.score({ query: "q", passages }, patient, (index, { logit }) => { if (logit === -passages[index].length) seen.push(index); });
    expect(seen.sort((a, b) => a - b)).toEqual([...passages.keys()]);
  });

  it("scores the first passages that there is time for where so many are enough, and otherwise all", async () => {
    const { scores, runs } = scoresOn("cpu", { runMs: 20 });
    const within = (timeMs: number): CallScope => ({ ...patient, deadlineMs: Date.now() + timeMs });
    await scores.score({ query: "q", passages: ["a", "b"] }, within(900));
    // 40 passages take two workers 400 ms.
    const some = await scores.score({ query: "q", passages, atLeast: 5 }, within(500));
    expect(some.length >= 5 && some.length < 40).toBe(true);
    expect(some).toEqual(passages.slice(0, some.length).map(({ length }) => ({ logit: -length, tokens: length })));
    expect(runs).toHaveLength(2 + some.length);
    expect(await scores.score({ query: "q", passages, atLeast: 50 }, within(900))).toHaveLength(40);
    expect(await scores.score({ query: "q", passages }, within(900))).toHaveLength(40);
  });

  it("tokenises nothing of a call that is refused for lack of room", async () => {
    const { scores, queries } = scoresOn("cpu", { spec: { capacity: 0, turn: 32 } });
    await expect(scores.score({ query: "q", passages }, patient)).rejects.toMatchObject({ code: "resource_exhausted" });
    expect(queries).toEqual([]);
  });

  it("refuses another model than its own, naming it", async () => {
    const { scores } = scoresOn("cpu");
    await expect(scores.score({ query: "q", passages, model: "other" }, patient)).rejects.toMatchObject({ code: "invalid_argument", field: "model", message: "model: is not served here: it is m" });
    await expect(scores.score({ query: "q", passages: ["a"], model: "m" }, patient)).resolves.toHaveLength(1);
  });
});
