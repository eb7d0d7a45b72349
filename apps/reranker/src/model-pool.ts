import type { LoadOptions, Provider } from "@memseal/inference";
import type { Logger } from "@memseal/telemetry";
import { allOrNone } from "./all-or-none.js";
import { Batcher, type BatcherObserver, type LaneSpec } from "./batcher.js";
import { ModelThread } from "./model-thread.js";
import type { ModelWork } from "./model-worker.js";

/**
 * Lanes by kind of worker, the most urgent first. Capacities are for each worker: about what is done in the time a caller has, 250 ms
 * for a query's embedding (3 ms) or a search's pairs (4 ms), 10 s for documents (20 ms). A turn is about what one search needs.
 */
const LANES = {
  embed: { query: { capacity: 64, turn: 4 }, window: { capacity: 512, turn: 32 }, document: { capacity: 512, turn: 32 } },
  rerank: { soon: { capacity: 64, turn: 32 }, later: { capacity: 256, turn: 32 } },
  // Whoever is here has been admitted to a lane of pairs.
  pairs: { passages: { capacity: Infinity, turn: 2 } },
  cut: { window: { capacity: 512, turn: 32 } },
} as const satisfies Record<keyof ModelWork, Record<string, LaneSpec>>;

export type LaneOf<Kind extends keyof ModelWork> = keyof (typeof LANES)[Kind] & string;

export interface ModelPoolSpec<Kind extends keyof ModelWork> {
  kind: Kind;
  workers: number;
  options: LoadOptions;
  log: Logger;
  onLost: (error: unknown) => void;
  observer?: BatcherObserver<LaneOf<Kind>> | undefined;
}

const SCRIPT = new URL("./model-worker.js", import.meta.url);

/** The workers of one kind, all with one model, and the batcher before them. */
export class ModelPool<Kind extends keyof ModelWork> {
  readonly model: string;
  readonly provider: Provider;
  readonly batcher: Batcher<ModelThread<ModelWork[Kind]>, LaneOf<Kind>>;

  private constructor(kind: Kind, private readonly threads: readonly ModelThread<ModelWork[Kind]>[], observer: ModelPoolSpec<Kind>["observer"]) {
    ({ model: this.model, provider: this.provider } = threads[0].loaded);
    const lanes = Object.entries<LaneSpec>(LANES[kind]).map(([lane, { capacity, turn }]) => [lane, { capacity: capacity * threads.length, turn }]);
    this.batcher = new Batcher(threads, Object.fromEntries(lanes) as Record<LaneOf<Kind>, LaneSpec>, observer);
  }

  /** Resolves when every worker's model is loaded and warm. @throws StartupError */
  static async start<Kind extends keyof ModelWork>({ kind, workers, options, log, onLost, observer }: ModelPoolSpec<Kind>): Promise<ModelPool<Kind>> {
    const start = (device: LoadOptions["device"]) =>
      ModelThread.start<ModelWork[Kind]>({ script: SCRIPT, data: { kind, ...options, device }, log, onLost });
    // The first settles what `auto` is; the others follow it.
    const first = await start(options.device);
    const others = Array.from({ length: workers - 1 }, () => start(first.loaded.provider));
    const threads = await allOrNone<ModelThread<ModelWork[Kind]>[]>([Promise.resolve(first), ...others]);
    return new ModelPool(kind, threads, observer);
  }

  get workers(): number {
    return this.threads.length;
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.close()));
  }
}
