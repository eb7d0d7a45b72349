import { AssertionSigner } from "@memseal/auth";
import { assertDistinct, loadSecret } from "@memseal/keys";
import { Breaker } from "@memseal/resilience";
import { crossTenantCounters, Metrics, type Logger } from "@memseal/telemetry";
import { HttpErrorFilter, type TransportSecurity } from "@memseal/transport";
import { Module, type DynamicModule, type OnApplicationShutdown } from "@nestjs/common";
import { AdminHttp } from "./admin.http.js";
import { Admission } from "./admission.js";
import { Authenticator } from "./authenticate.js";
import type { GatewayConfig } from "./config.js";
import { DocsHttp } from "./docs.http.js";
import { GatewayMetrics } from "./gateway-metrics.js";
import { HealthHttp } from "./health.http.js";
import { HttpAdmission } from "./http-admission.js";
import { IndexerClient } from "./indexer-client.js";
import { Memories } from "./memories.js";
import { MemoriesGrpc } from "./memories.grpc.js";
import { MemoriesHttp } from "./memories.http.js";
import { NotServedHttp } from "./not-served.http.js";
import { RerankerClient } from "./reranker-client.js";

/** A query takes 1 to 2 ms to embed; beyond this the embedder is not merely busy. */
const EMBED_TIMEOUT_MS = 500;

class Channels implements OnApplicationShutdown {
  constructor(private readonly clients: readonly { close(): void }[]) {}

  onApplicationShutdown(): void {
    for (const client of this.clients) client.close();
  }
}

/** Wiring only. */
@Module({})
export class GatewayModule {
  /** security: of the connections to the services. @throws StartupError when a key file is not as it must be, or a service's address may not be used */
  static create(config: GatewayConfig, security: TransportSecurity, log: Logger): DynamicModule {
    const signer = AssertionSigner.load(config.MEMSEAL_ASSERTION_KEY_FILE);
    assertDistinct([config.MEMSEAL_TENANT_SECRET_FILE, config.MEMSEAL_PEPPER_FILE]);
    const indexer = new IndexerClient(config.MEMSEAL_INDEXER_ADDRESS, signer, security);
    const reranker = new RerankerClient({
      rerankerAddress: config.MEMSEAL_RERANKER_ADDRESS,
      embedderAddress: config.MEMSEAL_EMBEDDER_ADDRESS ?? config.MEMSEAL_RERANKER_ADDRESS,
      security,
    });
    const metrics = new Metrics(config.MEMSEAL_TRACK);
    const crossTenant = crossTenantCounters(metrics);
    const gatewayMetrics = new GatewayMetrics(metrics, log);
    const memories = new Memories({
      indexer,
      reranker,
      embedder: reranker,
      embedBreaker: new Breaker({ name: "embed", timeoutMs: EMBED_TIMEOUT_MS }),
      rerankBreaker: new Breaker({ name: "rerank", timeoutMs: config.MEMSEAL_RERANK_TIMEOUT_MS }),
      ranking: { depth: config.MEMSEAL_RERANK_DEPTH, weight: config.MEMSEAL_RERANK_WEIGHT },
      onDenseSkipped: (reason) => { gatewayMetrics.denseSkipped(reason); },
      onRerankSkipped: (reason) => { gatewayMetrics.rerankSkipped(reason); },
      onForeignUser: () => { crossTenant.refused("user_id"); },
      tenantSecret: loadSecret(config.MEMSEAL_TENANT_SECRET_FILE),
    });
    const admission = new Admission(new Authenticator(indexer, loadSecret(config.MEMSEAL_PEPPER_FILE)));
    return {
      module: GatewayModule,
      controllers: [MemoriesHttp, AdminHttp, NotServedHttp, MemoriesGrpc, HealthHttp, DocsHttp],
      providers: [
        { provide: Admission, useValue: admission },
        { provide: HttpAdmission, useValue: new HttpAdmission(admission) },
        { provide: HttpErrorFilter, useValue: new HttpErrorFilter(log) },
        { provide: Memories, useValue: memories },
        { provide: IndexerClient, useValue: indexer },
        { provide: Metrics, useValue: metrics },
        { provide: GatewayMetrics, useValue: gatewayMetrics },
        { provide: Channels, useValue: new Channels([indexer, reranker, security]) },
      ],
    };
  }
}
