import { setTimeout as delay } from "node:timers/promises";
import { Memseal, type AddedMemory, type MemsealUser } from "@memseal/client";
import type { Configuration } from "./configurations.js";
import type { Document } from "./corpus.js";

/** What the metrics look at. */
const TOP_K = 50;
/** Memories that are no turns, a call: their chunks must fit in one. */
const BATCH = 40;
/** Most turns a call takes. */
const TURNS = 200;
/** A busy machine misses a time limit now and then; the same question is asked again. */
const ATTEMPTS = 8;
const PAUSE_MS = 1_000;

/** One corpus behind the public API: stored as one user's memories, and searched. */
export class EvaluatedUser {
  readonly #user: MemsealUser;
  readonly #documentOf = new Map<string, string>();

  constructor(url: string, apiKey: string) {
    this.#user = new Memseal({ url, apiKey, delegate: false, timeoutMs: 120_000, maxRetries: 20 }).forOwnUser();
  }

  /** A session is a run: its turns are one another's neighbours. */
  async add(documents: readonly Document[]): Promise<void> {
    for (const batch of inBatches(documents.filter(({ turn }) => turn === undefined), BATCH)) {
      this.#remember(batch, await this.#user.add(batch.map(({ text }) => text)));
    }
    for (const runId of new Set(documents.flatMap(({ turn }) => turn?.session ?? []))) {
      for (const batch of inBatches(documents.filter(({ turn }) => turn?.session === runId), TURNS)) {
        const messages = batch.map(({ text, turn }) => ({ role: turn?.speaker ?? "", content: text, occurredAt: turn?.occurredAt }));
        this.#remember(batch, await this.#user.add({ runId, messages }));
      }
    }
  }

  /** Ids of documents, best first. @throws Error where the answer lacks what was asked for: it would measure something else */
  async search(query: string, { name, search }: Configuration): Promise<string[]> {
    for (let attempt = 1; ; attempt++) {
      const { results, reranked, rerankSkipped, dense, denseSkipped } = await this.#user.search(query, { topK: TOP_K, ...search });
      if (reranked === search.rerank && dense === (search.mode !== "lexical")) return results.map(({ memory }) => this.#documentOf.get(memory.id) ?? memory.id);
      if (attempt === ATTEMPTS) throw new Error(`${name}: ${ATTEMPTS} answers were not as asked for (rerank ${rerankSkipped ?? "ran"}, dense ${denseSkipped ?? "ran"})`);
      await delay(PAUSE_MS);
    }
  }

  #remember(batch: readonly Document[], added: readonly AddedMemory[]): void {
    for (const [i, { id }] of added.entries()) this.#documentOf.set(id, batch[i].id);
  }
}

function inBatches<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
