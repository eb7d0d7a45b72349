import type { LoadOptions } from "@memseal/inference";
import type { Logger, Metrics } from "@memseal/telemetry";
import { GrpcErrorFilter } from "@memseal/transport";
import { Module, type DynamicModule, type OnApplicationShutdown, type Provider, type Type } from "@nestjs/common";
import { APP_FILTER } from "@nestjs/core";
import { allOrNone } from "./all-or-none.js";
import type { BatcherObserver } from "./batcher.js";
import { parseEndpoint, type RerankerConfig, type Service } from "./config.js";
import { EMBEDDINGS, EmbedderGrpc } from "./embedder.grpc.js";
import { EmbeddingsEndpoint } from "./embeddings-endpoint.js";
import { EndpointEmbeddings } from "./endpoint-embeddings.js";
import { ModelEmbeddings } from "./model-embeddings.js";
import { ModelMetrics, type ServedModel } from "./model-metrics.js";
import { ModelPool, type LaneOf } from "./model-pool.js";
import { ModelScores } from "./model-scores.js";
import type { ModelWork } from "./model-worker.js";
import { RerankerGrpc, SCORES } from "./reranker.grpc.js";

export interface RerankerModuleSpec {
  config: RerankerConfig;
  services: ReadonlySet<Service>;
  log: Logger;
  metrics: Metrics;
  onLost: (error: unknown) => void;
}

/** Threads that tokenise: what a CPU needs 2 ms for keeps a GPU waiting. */
const TOKENISERS = { cpu: 1, cuda: 4 } as const;

/** Wiring only: the services asked for, each with its own workers and queue. */
@Module({})
export class RerankerModule {
  /** Resolves when the models are loaded and warm. @throws StartupError */
  static async create({ config, services, log, metrics, onLost }: RerankerModuleSpec): Promise<DynamicModule> {
    const modelMetrics = new ModelMetrics(metrics, services);
    const common = { log, onLost, device: config.MEMSEAL_DEVICE, modelsDir: config.MEMSEAL_MODELS_DIR };
    const [embedding, reranking] = await allOrNone<[Serving | undefined, Serving | undefined]>([
      services.has("embed") ? startEmbedding(config, common, modelMetrics) : Promise.resolve(undefined),
      services.has("rerank") ? startReranking(config, common, modelMetrics) : Promise.resolve(undefined),
    ]);
    const serving = [embedding, reranking].filter((one) => one !== undefined);
    modelMetrics.serves(serving.map(({ served }) => served));
    return {
      module: RerankerModule,
      controllers: serving.map(({ controller }) => controller),
      providers: [
        { provide: APP_FILTER, useValue: new GrpcErrorFilter(log) },
        { provide: ModelMetrics, useValue: modelMetrics },
        ...serving.map(({ provider }) => provider),
        { provide: Workers, useValue: new Workers(serving) },
      ],
    };
  }
}

/** A service with what it needs. */
interface Serving {
  readonly controller: Type;
  readonly provider: Provider;
  readonly served: ServedModel;
  close(): Promise<void>;
}

type Common = Pick<RerankerModuleSpec, "log" | "onLost"> & LoadOptions;

function startPool<Kind extends keyof ModelWork>(kind: Kind, workers: number, { log, onLost, ...options }: Common, observer: BatcherObserver<LaneOf<Kind>>): Promise<ModelPool<Kind>> {
  return ModelPool.start({ kind, workers, options, log, onLost, observer });
}

async function startEmbedding(config: RerankerConfig, common: Common, metrics: ModelMetrics): Promise<Serving> {
  const endpoint = endpointOf(config, common.log);
  if (endpoint !== undefined) {
    const pool = await startPool("cut", 1, common, metrics.observer<"window">("embed", { window: "tokenization" }));
    return {
      controller: EmbedderGrpc,
      provider: { provide: EMBEDDINGS, useValue: new EndpointEmbeddings(endpoint, pool) },
      served: { service: "embed", model: endpoint.model, provider: "endpoint", waiting: () => pool.batcher.waiting },
      close: () => pool.close(),
    };
  }
  const observer = metrics.observer<LaneOf<"embed">>("embed", { window: "tokenization", query: "inference", document: "inference" });
  const pool = await startPool("embed", 1, { ...common, model: config.MEMSEAL_EMBED_MODEL }, observer);
  logLoaded(common, pool);
  return {
    controller: EmbedderGrpc,
    provider: { provide: EMBEDDINGS, useValue: new ModelEmbeddings(pool) },
    served: { service: "embed", model: pool.model, provider: pool.provider, waiting: () => pool.batcher.waiting },
    close: () => pool.close(),
  };
}

async function startReranking(config: RerankerConfig, common: Common, metrics: ModelMetrics): Promise<Serving> {
  const model = config.MEMSEAL_RERANK_MODEL;
  const pool = await startPool("rerank", config.MEMSEAL_RERANK_WORKERS, { ...common, model }, metrics.observer<LaneOf<"rerank">>("rerank", { soon: "inference", later: "inference" }));
  // Where the model runs is settled by now.
  const tokenisers = startPool("pairs", TOKENISERS[pool.provider], { ...common, model, device: pool.provider }, metrics.observer<"passages">("rerank", { passages: "tokenization" }));
  const [, pairs] = await allOrNone<[ModelPool<"rerank">, ModelPool<"pairs">]>([Promise.resolve(pool), tokenisers]);
  logLoaded(common, pool);
  return {
    controller: RerankerGrpc,
    provider: { provide: SCORES, useValue: new ModelScores(pool, pairs) },
    served: { service: "rerank", model: pool.model, provider: pool.provider, waiting: () => pool.batcher.waiting },
    close: async () => { await Promise.all([pool.close(), pairs.close()]); },
  };
}

function logLoaded({ log }: Common, { model, provider, workers }: Pick<ModelPool<"embed">, "model" | "provider" | "workers">): void {
  log.info("model loaded", { model, provider, count: workers });
}

/** Ends the threads with the process. */
class Workers implements OnApplicationShutdown {
  constructor(private readonly serving: readonly Serving[]) {}

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.serving.map((one) => one.close()));
  }
}

/** The endpoint that embeds instead of a model of ours, announced: from now on texts leave this machine. @throws StartupError */
function endpointOf(config: RerankerConfig, log: Logger): EmbeddingsEndpoint | undefined {
  const endpoint = parseEndpoint(config);
  if (endpoint === undefined) return undefined;
  log.warn("texts are sent to an embedding endpoint", { address: endpoint.url.host, model: endpoint.model });
  return new EmbeddingsEndpoint({ ...endpoint, log });
}
