import type { LoadOptions } from "@memseal/inference";
import type { Logger } from "@memseal/telemetry";
import type { OnApplicationShutdown } from "@nestjs/common";
import { allOrNone } from "./all-or-none.js";
import type { Service } from "./config.js";
import { ModelThread } from "./model-thread.js";
import type { ModelWork } from "./model-worker.js";
import { WorkQueue } from "./work-queue.js";

/**
 * Tasks that may wait ahead of a call, by service and lane, most urgent lane first, for each worker. About what is
 * done in the time a caller has: 250 ms for a query's embedding (3 ms) or its pairs (4 ms), 10 s for documents (20 ms).
 */
const CAPACITIES = {
  embed: { query: 64, document: 512 },
  rerank: { pair: 64 },
} as const;

export type LaneOf<S extends Service> = keyof (typeof CAPACITIES)[S] & string;

export interface ModelPoolSpec<S extends Service> {
  service: S;
  workers: number;
  options: LoadOptions;
  log: Logger;
  onLost: (error: unknown) => void;
}

const SCRIPT = new URL("./model-worker.js", import.meta.url);

/** The workers of one service, all with one model, and the queue before them. */
export class ModelPool<S extends Service> implements OnApplicationShutdown {
  readonly model: string;
  readonly queue: WorkQueue<ModelThread<ModelWork[S]>, LaneOf<S>>;

  private constructor(service: S, private readonly threads: readonly ModelThread<ModelWork[S]>[]) {
    this.model = threads[0].loaded.model;
    const capacities = Object.entries<number>(CAPACITIES[service]).map(([lane, capacity]) => [lane, capacity * threads.length]);
    this.queue = new WorkQueue(threads, Object.fromEntries(capacities) as Record<LaneOf<S>, number>);
  }

  /** Resolves when every worker's model is loaded and warm. @throws StartupError */
  static async start<S extends Service>({ service, workers, options, log, onLost }: ModelPoolSpec<S>): Promise<ModelPool<S>> {
    const start = (device: LoadOptions["device"]) =>
      ModelThread.start<ModelWork[S]>({ script: SCRIPT, data: { service, ...options, device }, log, onLost });
    // The first settles what `auto` is; the others follow it.
    const first = await start(options.device);
    const others = Array.from({ length: workers - 1 }, () => start(first.loaded.provider));
    const threads = await allOrNone<ModelThread<ModelWork[S]>[]>([Promise.resolve(first), ...others]);
    log.info("model loaded", { ...first.loaded, count: workers });
    return new ModelPool(service, threads);
  }

  onApplicationShutdown(): Promise<void> {
    return this.close();
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.map((thread) => thread.close()));
  }
}
