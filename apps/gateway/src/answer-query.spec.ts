import { type AppError, DeadlineExceededError, InvalidArgumentError, OverloadedError, UnavailableError } from "@memseal/errors";
import { Breaker } from "@memseal/resilience";
import { answerQuery } from "./answer-query.js";
import { call, query, world } from "./query.fixture.js";

const idsOf = ({ results }: Awaited<ReturnType<typeof answerQuery>>) => results.map(({ memory }) => memory?.id);

describe("answerQuery", () => {
  it("reranks the best before it cuts to top_k, and says where each came from", async () => {
    const { parts, seen } = world();
    const answer = await answerQuery(parts, call, query());
    expect(seen.passages).toEqual(["[8 May 2023] Ada: part 0", "[8 May 2023] Ada: part 1", "[8 May 2023] Ada: part 2"]);
    expect(answer.results.map(({ memory, rank, originalRank, score }) => [memory?.id, rank, originalRank, score])).toEqual([
      ["2", 1, 3, 6],
      ["1", 2, 2, 5],
    ]);
    expect(answer).toMatchObject({ reranked: true, rerankDepth: 3, dense: true, totalMatching: 9, integrityFailures: 1, requestId: "r-1" });
    expect(answer.rerankSkipped ?? answer.denseSkipped).toBeUndefined();
    expect(seen).toMatchObject({ skips: [], reranked: 1, shortened: 0, stages: ["embed", "search", "rerank"] });
  });

  it("says how many candidates were scored where there was no time for all, and leaves the others behind them in fused order", async () => {
    const { parts, seen } = world();
    const asked: unknown[] = [];
    parts.reranker.rerank = (_, { passages, atLeast }) => {
      asked.push(passages.length, atLeast);
      return Promise.resolve({ model: "r", logits: [0, 4], tokens: 6 });
    };
    const answer = await answerQuery(parts, call, query({ topK: 4, explain: true }));
    expect(asked).toEqual([3, 2]);
    expect(answer.results.map(({ memory, scores }) => [memory?.id, scores?.rerank])).toEqual([["1", 4], ["0", 0], ["2", undefined], ["3", undefined]]);
    expect({ reranked: answer.reranked, depth: answer.rerankDepth }).toEqual({ reranked: true, depth: 2 });
    expect(seen).toMatchObject({ skips: [], reranked: 1, shortened: 1 });
  });

  it("is in fused order beyond the caller's rate of reranks, and says so", async () => {
    const { parts, seen } = world({ mayRerank: () => false });
    expect(await answerQuery(parts, call, query())).toMatchObject({ reranked: false, rerankSkipped: "overloaded" });
    expect(seen.passages).toBeUndefined();
    expect(seen).toMatchObject({ skips: ["rerank overloaded"], reranked: 0, stages: ["embed", "search"] });
  });

  it("asks the indexer for what can come into the answer: what is reranked, and top_k", async () => {
    const { parts, seen } = world();
    await answerQuery(parts, call, query({ topK: 2 }));
    expect(seen.search?.candidates).toBe(3);
    await answerQuery(parts, call, query({ topK: 2, rerank: false }));
    expect(seen.search?.candidates).toBe(2);
    await answerQuery(parts, call, query({ topK: 80 }));
    expect(seen.search?.candidates).toBe(80);
  });

  it("shows scores to whoever asks, the logit where there is one", async () => {
    const { parts } = world();
    const [, , , last] = (await answerQuery(parts, call, query({ topK: 4, explain: true }))).results;
    expect(last).toMatchObject({ memory: { id: "3" }, scores: { bm25: 1, fused: 1 } });
    expect(last?.scores?.rerank).toBeUndefined();
    const [plain] = (await answerQuery(parts, call, query())).results;
    expect(plain?.scores).toBeUndefined();
  });

  it.each<[string, AppError]>([
    ["error", new UnavailableError("gone")],
    ["overloaded", new OverloadedError("full")],
  ])("answers in fused order and says %s when the reranker cannot", async (reason, error) => {
    const { parts, seen } = world();
    parts.reranker.rerank = () => Promise.reject(error);
    const answer = await answerQuery(parts, call, query({ explain: true }));
    expect(idsOf(answer)).toEqual(["0", "1"]);
    expect(answer).toMatchObject({ reranked: false, rerankSkipped: reason, rerankDepth: 0, dense: true });
    expect(answer.results[0]).toMatchObject({ rank: 1, score: 4 });
    expect(answer.results[0]?.originalRank).toBeUndefined();
    expect(seen.skips).toEqual([`rerank ${reason}`]);
    expect(seen.reranked).toBe(0);
  });

  it("does not wait for a reranker that takes too long, and cancels it", async () => {
    const { parts } = world();
    let cancelled = false;
    parts.reranker.rerank = ({ signal }) => new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        cancelled = true;
        reject(new Error("cancelled"));
      });
    });
    await expect(answerQuery(parts, call, query())).resolves.toMatchObject({ reranked: false, rerankSkipped: "timeout" });
    expect(cancelled).toBe(true);
  });

  it("does not ask for reranking that the operator switched off, and says so", async () => {
    const { parts, seen } = world({ flags: { isOn: (flag) => flag !== "rerank" } });
    const answer = await answerQuery(parts, call, query());
    expect(answer).toMatchObject({ reranked: false, rerankSkipped: "off" });
    expect(idsOf(answer)).toEqual(["0", "1"]);
    expect(seen).toMatchObject({ skips: ["rerank off"], stages: ["embed", "search"] });
    expect(seen.passages).toBeUndefined();
    expect(await answerQuery(parts, call, query({ rerank: false }))).toMatchObject({ rerankSkipped: "disabled" });
  });

  const untilAborted = ({ signal }: { signal: AbortSignal }) => new Promise<never>((_, reject) => { signal.addEventListener("abort", () => { reject(new DeadlineExceededError()); }); });

  it("answers a hurried caller without models that hang, in its time, and opens no breaker for that", async () => {
    const patient = { timeoutMs: 10_000 };
    const { parts, seen } = world({ embedBreaker: new Breaker({ name: "embed", ...patient }), rerankBreaker: new Breaker({ name: "rerank", ...patient }) });
    // As gRPC does: the call ends at the deadline it was given.
    parts.reranker.embedQuery = ({ deadlineMs }) => untilAborted({ signal: AbortSignal.timeout(deadlineMs - Date.now()) });
    parts.reranker.rerank = ({ deadlineMs }) => untilAborted({ signal: AbortSignal.timeout(deadlineMs - Date.now()) });
    for (let i = 0; i < 12; i++) {
      const hurried = { ...call, deadlineMs: Date.now() + 400 };
      expect(await answerQuery(parts, hurried, query())).toMatchObject({ dense: false, denseSkipped: "timeout", reranked: false, rerankSkipped: "timeout" });
      expect(Date.now()).toBeLessThan(hurried.deadlineMs);
    }
    expect([parts.embedBreaker.state, parts.rerankBreaker.state]).toEqual(["closed", "closed"]);
    expect(seen.skips).toHaveLength(24);
  });

  it("searches by BM25 alone and says so when the query cannot be embedded", async () => {
    const { parts, seen } = world();
    parts.reranker.embedQuery = () => Promise.reject(new UnavailableError("gone"));
    await expect(answerQuery(parts, call, query())).resolves.toMatchObject({ dense: false, denseSkipped: "error", reranked: true });
    expect(seen.search?.vector).toBeUndefined();
    expect(seen.skips).toEqual(["dense error"]);
  });

  it("embeds nothing where words alone are asked for, and says so", async () => {
    const { parts, seen } = world();
    parts.reranker.embedQuery = () => Promise.reject(new Error("asked"));
    await expect(answerQuery(parts, call, query({ mode: "lexical" }))).resolves.toMatchObject({ dense: false, denseSkipped: "disabled", reranked: true });
    expect(seen.search).toMatchObject({ mode: "lexical" });
    expect(seen.search?.vector).toBeUndefined();
    expect(seen.skips).toEqual(["dense disabled"]);
  });

  it("is unavailable where embeddings alone are asked for and the query cannot be embedded", async () => {
    const { parts } = world();
    await expect(answerQuery(parts, call, query({ mode: "dense" }))).resolves.toMatchObject({ dense: true });
    parts.reranker.embedQuery = () => Promise.reject(new UnavailableError("gone"));
    await expect(answerQuery(parts, call, query({ mode: "dense" }))).rejects.toMatchObject({ code: "unavailable", retryAfterS: 1 });
    await expect(answerQuery(parts, call, query({ mode: "dense", vector: Float32Array.of(2) }))).resolves.toMatchObject({ dense: true });
  });

  it("hands on whether neighbours lend", async () => {
    const { parts, seen } = world();
    await answerQuery(parts, call, query({ context: false }));
    expect(seen.search).toMatchObject({ context: false });
  });

  it("takes a caller's own vector as the embedding", async () => {
    const { parts, seen } = world();
    parts.reranker.embedQuery = () => Promise.reject(new UnavailableError("gone"));
    await expect(answerQuery(parts, call, query({ vector: Float32Array.of(2) }))).resolves.toMatchObject({ dense: true });
    expect(seen.search?.vector).toEqual(Buffer.from([0, 0, 0, 64]));
  });

  it("names the model of an embedded query, and says where the user's memories have another", async () => {
    const { parts, seen } = world();
    const { search } = parts.indexer;
    parts.indexer = { search: async (by, request) => ({ ...(await search(by, request)), modelMismatch: request.model === "m" }) };
    await expect(answerQuery(parts, call, query())).resolves.toMatchObject({ dense: false, denseSkipped: "model_mismatch", reranked: true, totalMatching: 9 });
    expect(seen.skips).toEqual(["dense model_mismatch"]);
    await expect(answerQuery(parts, call, query({ vector: Float32Array.of(2) }))).resolves.toMatchObject({ dense: true });
    expect(seen.search?.model).toBeUndefined();
  });

  it("asks for a vector where words are not wanted and the user's memories have another model", async () => {
    const { parts } = world();
    const { search } = parts.indexer;
    parts.indexer = { search: async (by, request) => ({ ...(await search(by, request)), modelMismatch: true }) };
    await expect(answerQuery(parts, call, query({ mode: "dense" }))).rejects.toMatchObject({ code: "invalid_argument", field: "vector", message: expect.stringContaining("is required in mode dense") as string });
  });

  it("refuses a caller's own vector that the index refuses", async () => {
    const { parts } = world();
    parts.indexer = { search: () => Promise.reject(new InvalidArgumentError("vector", "must have 3 values")) };
    await expect(answerQuery(parts, call, query({ vector: Float32Array.of(2) }))).rejects.toMatchObject({ code: "invalid_argument", field: "vector" });
  });

  it("reranks the others when a passage has nothing to read", async () => {
    const { parts, seen } = world();
    const { search } = parts.indexer;
    parts.indexer = {
      search: async (by, request) => {
        const { candidates, ...rest } = await search(by, request);
        return { ...rest, candidates: candidates.map((one, i) => (i === 1 ? { ...one, passage: { index: 0, start: 0, end: 1, text: " " } } : one)) };
      },
    };
    const answer = await answerQuery(parts, call, query({ topK: 4 }));
    expect(seen.passages).toEqual(["[8 May 2023] Ada: part 0", "[8 May 2023] Ada: part 2"]);
    expect(answer.reranked).toBe(true);
    expect(idsOf(answer)).toEqual(["0", "2", "1", "3"]);
  });

  it("leaves the fused order to whoever asks for it", async () => {
    const { parts } = world();
    const answer = await answerQuery(parts, call, query({ rerank: false }));
    expect(idsOf(answer)).toEqual(["0", "1"]);
    expect(answer).toMatchObject({ reranked: false, rerankSkipped: "disabled" });
  });

  it("has nothing to skip where nothing was found", async () => {
    const { parts } = world({ indexer: { search: () => Promise.resolve({ candidates: [], totalMatching: 0, integrityFailures: 0, unknownFields: [], modelMismatch: false }) } });
    parts.reranker.rerank = () => Promise.reject(new UnavailableError("gone"));
    await expect(answerQuery(parts, call, query())).resolves.toMatchObject({ results: [], reranked: true });
  });

  it("fails when the search itself fails", async () => {
    const { parts } = world({ indexer: { search: () => Promise.reject(new UnavailableError("database away")) } });
    await expect(answerQuery(parts, call, query())).rejects.toMatchObject({ code: "unavailable" });
  });
});
