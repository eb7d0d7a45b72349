import type { Reranked, SearchEvent, SearchQuery } from "@memseal/contracts";
import { find, fusedRanking, milliseconds, rank, toAnswer, toResult, type QueryParts, type Ranked, type Ranking } from "./answer-query.js";
import type { TenantCall } from "./call.js";

/** The read path in two steps: what was found at once, in fused order, and what reranking makes of it. Fails before the first step or not at all. */
export async function* streamQuery(parts: QueryParts, call: TenantCall, query: SearchQuery): AsyncGenerator<SearchEvent> {
  const found = await find(parts, call, query);
  const first = fusedRanking(found.candidates);
  const results = toAnswer(call, query, found, first);
  yield { event: { $case: "results", value: results } };
  const last = await rank(parts, call, query, found.candidates);
  yield last.skipped === undefined
    ? { event: { $case: "reranked", value: changeOf(first, last, query) } }
    : { event: { $case: "rerankSkipped", value: last.skipped } };
  yield { event: { $case: "done", value: { latencyMs: { ...found.latencyMs, rerank: last.ms, total: milliseconds(performance.now() - found.startedAt) } } } };
}

/** How the first top_k of one order become those of another. */
function changeOf(before: Ranking, after: Ranking, { topK, explain }: SearchQuery): Reranked {
  const [shown, final] = [before.ranked.slice(0, topK), after.ranked.slice(0, topK)];
  const idOf = ({ candidate }: Ranked) => candidate.memory.id;
  const [shownIds, finalIds] = [new Set(shown.map(idOf)), new Set(final.map(idOf))];
  return {
    order: final.map((one) => ({ id: idOf(one), score: one.score })),
    added: final.flatMap((one, i) => (shownIds.has(idOf(one)) ? [] : [toResult(one, { rank: i + 1, isReranked: true, explain })])),
    removed: shown.map(idOf).filter((id) => !finalIds.has(id)),
    rerankDepth: after.depth,
  };
}
