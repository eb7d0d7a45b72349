import type { Logger } from "@memseal/telemetry";
import { GrpcErrorFilter } from "@memseal/transport";
import { Module, type DynamicModule, type OnApplicationShutdown, type Provider, type Type } from "@nestjs/common";
import { APP_FILTER } from "@nestjs/core";
import { allOrNone } from "./all-or-none.js";
import { parseEndpoint, type RerankerConfig, type Service } from "./config.js";
import { EMBEDDINGS, EmbedderGrpc } from "./embedder.grpc.js";
import { EmbeddingsEndpoint } from "./embeddings-endpoint.js";
import { EndpointEmbeddings } from "./endpoint-embeddings.js";
import { ModelEmbeddings } from "./model-embeddings.js";
import { ModelPool } from "./model-pool.js";
import { ModelScores } from "./model-scores.js";
import { RerankerGrpc, SCORES } from "./reranker.grpc.js";

export interface RerankerModuleSpec {
  config: RerankerConfig;
  services: ReadonlySet<Service>;
  log: Logger;
  onLost: (error: unknown) => void;
}

/** Wiring only: the services asked for, each with its own workers and queue. */
@Module({})
export class RerankerModule {
  /** Resolves when the models are loaded and warm. @throws StartupError */
  static async create({ config, services, log, onLost }: RerankerModuleSpec): Promise<DynamicModule> {
    const options = { device: config.MEMSEAL_DEVICE, modelsDir: config.MEMSEAL_MODELS_DIR };
    const common = { log, onLost };
    const endpoint = services.has("embed") ? endpointOf(config, log) : undefined;
    const start = <Kind extends "embed" | "cut" | "rerank">(isWanted: boolean, kind: Kind, workers: number, model: string | undefined) =>
      isWanted ? ModelPool.start({ ...common, kind, workers, options: { ...options, model } }) : Promise.resolve(undefined);
    const [embedPool, cutPool, rerankPool] = await allOrNone<[ModelPool<"embed"> | undefined, ModelPool<"cut"> | undefined, ModelPool<"rerank"> | undefined]>([
      start(services.has("embed") && endpoint === undefined, "embed", 1, config.MEMSEAL_EMBED_MODEL),
      start(endpoint !== undefined, "cut", 1, undefined),
      start(services.has("rerank"), "rerank", config.MEMSEAL_RERANK_WORKERS, config.MEMSEAL_RERANK_MODEL),
    ]);
    const controllers: Type[] = [];
    const providers: Provider[] = [{ provide: APP_FILTER, useValue: new GrpcErrorFilter(log) }];
    const embeddings = embedPool && new ModelEmbeddings(embedPool);
    const remote = endpoint && cutPool && new EndpointEmbeddings(endpoint, cutPool);
    if (embeddings ?? remote) {
      controllers.push(EmbedderGrpc);
      providers.push({ provide: EMBEDDINGS, useValue: embeddings ?? remote });
    }
    if (rerankPool !== undefined) {
      controllers.push(RerankerGrpc);
      providers.push({ provide: SCORES, useValue: new ModelScores(rerankPool) });
    }
    providers.push({ provide: Workers, useValue: new Workers([embedPool, cutPool, rerankPool]) });
    return { module: RerankerModule, controllers, providers };
  }
}

/** Ends the threads with the process. */
class Workers implements OnApplicationShutdown {
  constructor(private readonly pools: readonly ({ close(): Promise<void> } | undefined)[]) {}

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.pools.map(async (pool) => { await pool?.close(); }));
  }
}

/** The endpoint that embeds instead of a model of ours, announced: from now on texts leave this machine. @throws StartupError */
function endpointOf(config: RerankerConfig, log: Logger): EmbeddingsEndpoint | undefined {
  const endpoint = parseEndpoint(config);
  if (endpoint === undefined) return undefined;
  log.warn("texts are sent to an embedding endpoint", { address: endpoint.url.host, model: endpoint.model });
  return new EmbeddingsEndpoint({ ...endpoint, log });
}
