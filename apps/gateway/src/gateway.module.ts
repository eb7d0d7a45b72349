import { AssertionSigner, JwtVerifier, loadIssuers, receiptKeySet, UserTokens } from "@memseal/auth";
import { assertDistinct, loadSecret } from "@memseal/keys";
import { Breaker } from "@memseal/resilience";
import { crossTenantCounters, Metrics, type Logger } from "@memseal/telemetry";
import { HttpErrorFilter, type TransportSecurity } from "@memseal/transport";
import { Module, type DynamicModule, type OnApplicationShutdown } from "@nestjs/common";
import { AdminHttp } from "./admin.http.js";
import { Admission } from "./admission.js";
import { Authenticator } from "./authenticate.js";
import type { GatewayConfig } from "./config.js";
import { CreateToken } from "./create-token.js";
import { DocsHttp } from "./docs.http.js";
import { Drain } from "./drain.js";
import { Flags } from "./flags.js";
import { GatewayMetrics } from "./gateway-metrics.js";
import { GrpcAdmission } from "./grpc-admission.js";
import { HealthHttp } from "./health.http.js";
import { HttpAdmission } from "./http-admission.js";
import { IndexerClient } from "./indexer-client.js";
import { Memories } from "./memories.js";
import { MemoriesGrpc } from "./memories.grpc.js";
import { MemoriesHttp } from "./memories.http.js";
import { Rates } from "./rates.js";
import { ReceiptKeys, ReceiptKeysHttp } from "./receipt-keys.http.js";
import { RerankHttp } from "./rerank.http.js";
import { RerankerClient } from "./reranker-client.js";
import { TokensHttp } from "./tokens.http.js";
import { UntakenAnswers } from "./untaken-answers.js";

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
    const tenantSecret = loadSecret(config.MEMSEAL_TENANT_SECRET_FILE);
    const userTokens = UserTokens.load(config.MEMSEAL_ASSERTION_KEY_FILE, config.MEMSEAL_TOKEN_PUBLIC_KEY_FILES);
    const jwts = new JwtVerifier(config.MEMSEAL_ISSUERS_FILE === undefined ? [] : loadIssuers(config.MEMSEAL_ISSUERS_FILE));
    const rates = new Rates({ credential: config.MEMSEAL_RATES_CREDENTIAL, tenant: config.MEMSEAL_RATES_TENANT, failuresPerSecond: config.MEMSEAL_RATE_FAILED_AUTH });
    const indexer = new IndexerClient(config.MEMSEAL_INDEXER_ADDRESS, signer, security);
    const reranker = new RerankerClient({
      rerankerAddress: config.MEMSEAL_RERANKER_ADDRESS,
      embedderAddress: config.MEMSEAL_EMBEDDER_ADDRESS ?? config.MEMSEAL_RERANKER_ADDRESS,
      security,
    });
    const metrics = new Metrics(config.MEMSEAL_TRACK);
    const crossTenant = crossTenantCounters(metrics);
    const gatewayMetrics = new GatewayMetrics(metrics, log);
    const flags = Flags.open(config.MEMSEAL_FLAGS_FILE, log);
    const embedBreaker = new Breaker({ name: "embed", timeoutMs: EMBED_TIMEOUT_MS });
    const rerankBreaker = new Breaker({ name: "rerank", timeoutMs: config.MEMSEAL_RERANK_TIMEOUT_MS });
    const untaken = new UntakenAnswers({ receiverBytes: config.MEMSEAL_UNTAKEN_BYTES_TENANT, totalBytes: config.MEMSEAL_UNTAKEN_BYTES_TOTAL });
    gatewayMetrics.watch({ embed: embedBreaker, rerank: rerankBreaker }, flags, untaken);
    const memories = new Memories({
      indexer,
      reranker,
      embedder: reranker,
      embedBreaker,
      rerankBreaker,
      flags,
      ranking: { depth: config.MEMSEAL_RERANK_DEPTH, minDepth: config.MEMSEAL_RERANK_MIN_DEPTH, weight: config.MEMSEAL_RERANK_WEIGHT },
      onDenseSkipped: (reason) => { gatewayMetrics.denseSkipped(reason); },
      mayRerank: (caller) => rates.take("rerank", caller).isAllowed,
      onReranked: () => { gatewayMetrics.reranked(); },
      onRerankShortened: () => { gatewayMetrics.rerankShortened(); },
      onRerankSkipped: (reason) => { gatewayMetrics.rerankSkipped(reason); },
      onStage: (stage, ms) => { gatewayMetrics.stage(stage, ms); },
      onForeignUser: () => { crossTenant.refused("user_id"); },
      tenantSecret,
    });
    const authenticator = new Authenticator({ indexer, pepper: loadSecret(config.MEMSEAL_PEPPER_FILE), tenantSecret, userTokens, jwts });
    const admission = new Admission(authenticator, rates, untaken);
    return {
      module: GatewayModule,
      controllers: [MemoriesHttp, AdminHttp, TokensHttp, RerankHttp, MemoriesGrpc, HealthHttp, DocsHttp, ReceiptKeysHttp],
      providers: [
        { provide: HttpAdmission, useValue: new HttpAdmission(admission) },
        { provide: GrpcAdmission, useValue: new GrpcAdmission(admission, config.MEMSEAL_HTTP_RECEIVE_TIMEOUT_MS) },
        { provide: Drain, useValue: new Drain() },
        { provide: HttpErrorFilter, useValue: new HttpErrorFilter(log) },
        { provide: Memories, useValue: memories },
        { provide: CreateToken, useValue: new CreateToken({ indexer, tenantSecret, userTokens }) },
        { provide: IndexerClient, useValue: indexer },
        { provide: ReceiptKeys, useFactory: async () => new ReceiptKeys(JSON.stringify(await receiptKeySet(config.MEMSEAL_RECEIPT_PUBLIC_KEY_FILES))) },
        { provide: Metrics, useValue: metrics },
        { provide: GatewayMetrics, useValue: gatewayMetrics },
        { provide: Channels, useValue: new Channels([indexer, reranker, security, flags]) },
      ],
    };
  }
}
