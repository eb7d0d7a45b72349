import type { Logger } from "@memseal/telemetry";
import { GrpcErrorFilter } from "@memseal/transport";
import { Module, type DynamicModule, type Provider, type Type } from "@nestjs/common";
import { APP_FILTER } from "@nestjs/core";
import { allOrNone } from "./all-or-none.js";
import type { RerankerConfig, Service } from "./config.js";
import { EMBED_POOL, EmbedderGrpc } from "./embedder.grpc.js";
import { ModelPool } from "./model-pool.js";
import { RERANK_POOL, RerankerGrpc } from "./reranker.grpc.js";

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
    const common = { options: { device: config.MEMSEAL_DEVICE, modelsDir: config.MEMSEAL_MODELS_DIR }, log, onLost };
    const [embedPool, rerankPool] = await allOrNone<[ModelPool<"embed"> | undefined, ModelPool<"rerank"> | undefined]>([
      services.has("embed") ? ModelPool.start({ ...common, service: "embed", workers: 1 }) : Promise.resolve(undefined),
      services.has("rerank") ? ModelPool.start({ ...common, service: "rerank", workers: config.MEMSEAL_RERANK_WORKERS }) : Promise.resolve(undefined),
    ]);
    const controllers: Type[] = [];
    const providers: Provider[] = [{ provide: APP_FILTER, useValue: new GrpcErrorFilter(log) }];
    if (embedPool !== undefined) {
      controllers.push(EmbedderGrpc);
      providers.push({ provide: EMBED_POOL, useValue: embedPool });
    }
    if (rerankPool !== undefined) {
      controllers.push(RerankerGrpc);
      providers.push({ provide: RERANK_POOL, useValue: rerankPool });
    }
    return { module: RerankerModule, controllers, providers };
  }
}
