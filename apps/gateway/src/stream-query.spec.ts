import type { SearchEvent } from "@memseal/contracts";
import { UnavailableError } from "@memseal/errors";
import { answerQuery } from "./answer-query.js";
import { call, query, world } from "./query.fixture.js";
import { streamQuery } from "./stream-query.js";

async function eventsOf(events: AsyncIterable<SearchEvent>): Promise<SearchEvent["event"][]> {
  const all = [];
  for await (const { event } of events) all.push(event);
  return all;
}

/** The shown results of the first step after the second step's changes: what a client shows in the end. */
function applied([results, reranked]: SearchEvent["event"][]): (string | undefined)[] {
  if (results?.$case !== "results" || reranked?.$case !== "reranked") throw new Error("not the two steps");
  const shown = new Set(results.value.results.map(({ memory }) => memory?.id));
  for (const { memory } of reranked.value.added) shown.add(memory?.id);
  for (const id of reranked.value.removed) shown.delete(id);
  const order = reranked.value.order.map(({ id }) => id);
  expect([...shown].sort()).toEqual([...order].sort());
  return order;
}

describe("streamQuery", () => {
  it("gives the fused order at once, then how the reranked one differs, then how long all took", async () => {
    const events = await eventsOf(streamQuery(world().parts, call, query({ explain: true })));
    expect(events).toMatchObject([
      { $case: "results", value: { reranked: false, dense: true, totalMatching: 9, integrityFailures: 1, requestId: "r-1", results: [{ memory: { id: "0" }, rank: 1, score: 4 }, { memory: { id: "1" }, rank: 2, score: 3 }] } },
      { $case: "reranked", value: { order: [{ id: "2", score: 6 }, { id: "1", score: 5 }], added: [{ memory: { id: "2" }, rank: 1, originalRank: 3, score: 6, scores: { rerank: 8 } }], removed: ["0"], rerankDepth: 3 } },
      { $case: "done", value: { latencyMs: { embed: expect.any(Number) as number, search: expect.any(Number) as number, rerank: expect.any(Number) as number, total: expect.any(Number) as number } } },
    ]);
    expect(events[0]).toMatchObject({ value: { rerankSkipped: undefined, results: [{ originalRank: undefined }, {}] } });
  });

  it.each([1, 2, 3, 4, 9])("ends in the order that the plain search has, for the first %i", async (topK) => {
    const asked = query({ topK });
    const { results } = await answerQuery(world().parts, call, asked);
    expect(applied(await eventsOf(streamQuery(world().parts, call, asked)))).toEqual(results.map(({ memory }) => memory?.id));
  });

  it("hands on what was found before it asks the cross-encoder", async () => {
    const { parts, seen } = world();
    const events = streamQuery(parts, call, query());
    expect((await events.next()).value).toMatchObject({ event: { $case: "results" } });
    expect(seen.passages).toBeUndefined();
    await events.next();
    expect(seen.passages).toHaveLength(3);
  });

  it.each<[string, Parameters<typeof world>[0], boolean]>([
    ["disabled", {}, false],
    ["overloaded", { mayRerank: () => false }, true],
    ["off", { flags: { isOn: (flag) => flag !== "rerank" } }, true],
  ])("says %s in place of a second order", async (reason, changes, rerank) => {
    const { parts, seen } = world(changes);
    const [, second, third] = await eventsOf(streamQuery(parts, call, query({ rerank })));
    expect([second, third]).toMatchObject([{ $case: "rerankSkipped", value: reason }, { $case: "done" }]);
    expect(seen.skips).toEqual([`rerank ${reason}`]);
  });

  it("fails before the first event where the search itself fails", async () => {
    const { parts } = world();
    parts.indexer.search = () => Promise.reject(new UnavailableError("gone"));
    await expect(streamQuery(parts, call, query()).next()).rejects.toMatchObject({ code: "unavailable" });
  });

  it("reranks for nobody where the caller left after the first event", async () => {
    const { parts, seen } = world();
    const caller = new AbortController();
    const events = streamQuery(parts, { ...call, signal: caller.signal }, query());
    await events.next();
    await events.return(undefined);
    expect(seen.passages).toBeUndefined();
    expect(await events.next()).toEqual({ done: true, value: undefined });
  });
});
