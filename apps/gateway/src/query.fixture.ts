import { toTimestamp, type SearchQuery } from "@memseal/contracts";
import type { SearchRequest } from "@memseal/contracts/indexer";
import { parseUserHash } from "@memseal/crypto";
import { Breaker } from "@memseal/resilience";
import type { QueryParts } from "./answer-query.js";
import type { TenantCall } from "./call.js";

export const call: TenantCall = {
  requestId: "r-1",
  deadlineMs: Infinity,
  signal: new AbortController().signal,
  caller: { tenant: parseUserHash("0".repeat(64)), namespace: "default", actor: "api-key test", scopes: ["read"] },
};
export const query = (parts: Partial<SearchQuery> = {}): SearchQuery => ({ query: "dog", topK: 2, rerank: true, explain: false, ...parts });

interface World {
  parts: QueryParts;
  /** What the services were asked, and what was told of it. */
  seen: { search?: SearchRequest; passages?: string[]; skips: string[]; stages: string[]; reranked: number; shortened: number };
}

/** Four memories, "0" to "3" in fused order; the cross-encoder prefers later ones. */
export function world(changes: Partial<QueryParts> = {}): World {
  const seen: World["seen"] = { skips: [], stages: [], reranked: 0, shortened: 0 };
  const at = toTimestamp(new Date("2023-05-08T00:00:00Z"));
  const parts: QueryParts = {
    indexer: {
      search: (_, request) => {
        seen.search = request;
        const candidates = ["0", "1", "2", "3"].map((id, i) => ({
          memory: { id, text: `whole ${id}`, role: "Ada", tags: [], metadata: undefined, occurredAt: at, createdAt: at, updatedAt: at, version: 1 },
          passage: { index: 0, start: 0, end: 1, text: `part ${id}` },
          scores: { bm25: 1, fused: 4 - i },
        }));
        return Promise.resolve({ candidates, totalMatching: 9, integrityFailures: 1, unknownFields: [], modelMismatch: false });
      },
    },
    reranker: {
      embedQuery: () => Promise.resolve({ model: "m", vector: Buffer.from([0, 0, 128, 63]) }),
      rerank: (_, { passages }) => {
        seen.passages = passages;
        return Promise.resolve({ model: "r", logits: passages.map((__, i) => 4 * i), tokens: 9 });
      },
    },
    embedBreaker: new Breaker({ name: "embed", timeoutMs: 50 }),
    rerankBreaker: new Breaker({ name: "rerank", timeoutMs: 50 }),
    ranking: { depth: 3, minDepth: 2, weight: 0.5 },
    mayRerank: () => true,
    flags: { isOn: () => true },
    onStage: (stage) => { seen.stages.push(stage); },
    onDenseSkipped: (reason) => seen.skips.push(`dense ${reason}`),
    onReranked: () => { seen.reranked++; },
    onRerankShortened: () => { seen.shortened++; },
    onRerankSkipped: (reason) => seen.skips.push(`rerank ${reason}`),
    ...changes,
  };
  return { parts, seen };
}
