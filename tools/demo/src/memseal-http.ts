import { z } from "zod";
import type { Turn } from "./conversations.js";

const added = z.object({ results: z.array(z.object({ id: z.string() })) });
const answer = z.object({
  results: z.array(z.object({
    memory: z.object({ id: z.string() }),
    rank: z.number(),
    original_rank: z.number().optional(),
    scores: z.object({ bm25_rank: z.number().optional() }),
  })),
  reranked: z.boolean(),
  rerank_skipped: z.string().optional(),
  dense: z.boolean(),
  latency_ms: z.object({ embed: z.number(), search: z.number(), rerank: z.number(), total: z.number() }),
});

export type SearchAnswer = z.infer<typeof answer>;

/** Most that one call takes. */
const BATCH = 200;

/** One user's view of a Memseal, over HTTP. */
export class MemsealUser {
  constructor(
    private readonly url: string,
    private readonly apiKey: string,
  ) {}

  /** Stores the turns; returns memory id by turn id. */
  async add(turns: readonly Turn[]): Promise<Map<string, string>> {
    const ids = new Map<string, string>();
    for (let i = 0; i < turns.length; i += BATCH) {
      const batch = turns.slice(i, i + BATCH);
      const memories = batch.map(({ text, role, session, tags, occurredAt }) => ({ text, role, source: session, tags, occurred_at: occurredAt.toISOString() }));
      const { results } = added.parse(await this.#post("/v1/memories", { memories }));
      for (const [j, { id }] of results.entries()) ids.set(batch[j].id, id);
    }
    return ids;
  }

  async search(query: string, options: { topK: number }): Promise<SearchAnswer> {
    return answer.parse(await this.#post("/v1/memories/search", { query, top_k: options.topK, explain: true }));
  }

  async #post(path: string, body: unknown): Promise<unknown> {
    const response = await fetch(this.url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${this.apiKey}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`POST ${path} answered ${response.status}: ${await response.text()}`);
    return response.json();
  }
}
