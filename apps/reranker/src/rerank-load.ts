import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@grpc/grpc-js";
import { RerankerService } from "@memseal/contracts/reranker";
import { AppError } from "@memseal/errors";
import { PairTokenizer, type Provider, type TokenSequence } from "@memseal/inference";
import { CALLER_KEY, connect, unary } from "@memseal/transport";

/** A search's candidates, and tokens of a pair. */
export const PAIRS = 24;
export const TOKENS = 128;

/** One token each. */
const WORDS = "house walk garden river letter morning train bread window music water light paper table winter road stone green small great happy quiet early open long city door book tree hand".split(" ");
const QUERY = "where did the old letter go";
const text = (words: number, n: number) => Array.from({ length: words }, (_, i) => WORDS[(n * 7 + i * i + i) % WORDS.length]).join(" ");

/** host:port, of a reranker that takes calls without TLS. */
export interface RerankAddresses {
  readonly grpc: string;
  readonly metrics: string;
}

/** Calls of a running reranker as a gateway makes them, each of 24 pairs of 128 tokens. */
export class RerankLoad {
  private constructor(
    private readonly client: Client,
    readonly model: string,
    readonly provider: Provider,
    /** Of one call, as tokens. */
    readonly pairs: readonly TokenSequence[],
    private readonly passages: string[],
  ) {}

  /** @throws Error where no such service answers */
  static async connect({ grpc, metrics }: RerankAddresses): Promise<RerankLoad> {
    const shown = await (await fetch(`http://${metrics}/metrics`)).text();
    const { model, provider } = /memseal_model_info{service="rerank",model="(?<model>[^"]+)",provider="(?<provider>cpu|cuda)"/.exec(shown)?.groups ?? {};
    if (model === undefined) throw new Error("the service does not say what it serves");
    const passages = Array.from({ length: PAIRS }, (_, n) => text(TOKENS, n));
    return new RerankLoad(connect(grpc), model, provider as Provider, await pairsOf(provider as Provider, passages), passages);
  }

  async rerank(caller: string, waitMs: number): Promise<void> {
    const context = { peer: "reranker", deadlineMs: Date.now() + waitMs, metadata: { [CALLER_KEY]: caller } };
    await unary(this.client, RerankerService.rerank, { query: QUERY, passages: this.passages }, context);
  }

  /** What became of a call: `ok`, or the code of its error. */
  codeOf(caller: string, waitMs: number): Promise<string> {
    return this.rerank(caller, waitMs).then(() => "ok", (error: unknown) => (error instanceof AppError ? error.code : String(error)));
  }

  /** So many callers, each its next call when it has its answer. perSecond: pairs. */
  async throughput(callers: number, forMs: number): Promise<{ perSecond: number; refused: number }> {
    let [done, refused] = [0, 0];
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: callers }, async (_, n) => {
      while (performance.now() - startedAt < forMs) {
        const code = await this.codeOf(`caller ${n}`, 30_000);
        if (code === "ok") done++;
        else refused++;
        // As it is told to.
        if (code === "resource_exhausted") await delay(50);
      }
    }));
    return { perSecond: (done * PAIRS * 1_000) / (performance.now() - startedAt), refused };
  }

  close(): void {
    this.client.close();
  }
}

/** Shortens passages until each pair has as many tokens as it should, or something else would be measured. */
async function pairsOf(provider: Provider, passages: string[]): Promise<readonly TokenSequence[]> {
  const tokenizer = await PairTokenizer.load({ device: provider });
  const [{ ids }] = tokenizer.pairs(QUERY, [passages[0]]);
  const spare = ids.length - TOKENS;
  for (const [n, passage] of passages.entries()) passages[n] = passage.split(" ").slice(0, TOKENS - spare).join(" ");
  const pairs = tokenizer.pairs(QUERY, passages);
  const lengths = [...new Set(pairs.map((pair) => pair.ids.length))];
  if (lengths.length !== 1 || lengths[0] !== TOKENS) throw new Error(`pairs of ${lengths.join(", ")} tokens instead of ${TOKENS}`);
  return pairs;
}

export async function timeMs(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

export const p95 = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? NaN;
