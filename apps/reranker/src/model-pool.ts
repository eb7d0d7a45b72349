import type { LoadOptions, Provider } from "@memseal/inference";
import type { Logger } from "@memseal/telemetry";
import { allOrNone } from "./all-or-none.js";
import { ModelThread } from "./model-thread.js";
import type { ModelWork } from "./model-worker.js";
import { WorkQueue } from "./work-queue.js";

/**
 * Tasks that may wait ahead of a call, by kind of worker and lane, most urgent lane first, for each worker. About what is
 * done in the time a caller has: 250 ms for a query's embedding (3 ms) or its pairs (4 ms), 10 s for documents (20 ms).
 */
const CAPACITIES = {
  embed: { query: 64, document: 512 },
  rerank: { pair: 64 },
  cut: { document: 512 },
} as const;

export type LaneOf<Kind extends keyof ModelWork> = keyof (typeof CAPACITIES)[Kind] & string;

export interface ModelPoolSpec<Kind extends keyof ModelWork> {
  kind: Kind;
  workers: number;
  options: LoadOptions;
  log: Logger;
  onLost: (error: unknown) => void;
}

const SCRIPT = new URL("./model-worker.js", import.meta.url);

/** The workers of one kind, all with one model, and the queue before them. */
export class ModelPool<Kind extends keyof ModelWork> {
  readonly model: string;
  readonly provider: Provider;
  readonly queue: WorkQueue<ModelThread<ModelWork[Kind]>, LaneOf<Kind>>;

  private constructor(kind: Kind, private readonly threads: readonly ModelThread<ModelWork[Kind]>[]) {
    ({ model: this.model, provider: this.provider } = threads[0].loaded);
    const capacities = Object.entries<number>(CAPACITIES[kind]).map(([lane, capacity]) => [lane, capacity * threads.length]);
    this.queue = new WorkQueue(threads, Object.fromEntries(capacities) as Record<LaneOf<Kind>, number>);
  }

  /** Resolves when every worker's model is loaded and warm. @throws StartupError */
  static async start<Kind extends keyof ModelWork>({ kind, workers, options, log, onLost }: ModelPoolSpec<Kind>): Promise<ModelPool<Kind>> {
    const start = (device: LoadOptions["device"]) =>
      ModelThread.start<ModelWork[Kind]>({ script: SCRIPT, data: { kind, ...options, device }, log, onLost });
    // The first settles what `auto` is; the others follow it.
    const first = await start(options.device);
    const others = Array.from({ length: workers - 1 }, () => start(first.loaded.provider));
    const threads = await allOrNone<ModelThread<ModelWork[Kind]>[]>([Promise.resolve(first), ...others]);
    log.info("model loaded", { ...first.loaded, count: workers });
    return new ModelPool(kind, threads);
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.close()));
  }
}
