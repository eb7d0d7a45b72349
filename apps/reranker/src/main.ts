import "reflect-metadata";
import { parseConfig } from "@memseal/config";
import { EmbedderService, FILE_DESCRIPTORS, RERANKER_PACKAGE, RerankerService } from "@memseal/contracts/reranker";
import { Logger, Metrics, Tracing } from "@memseal/telemetry";
import { runService, startGrpcService, TransportSecurity } from "@memseal/transport";
import { parseServices, rerankerConfig } from "./config.js";
import { RerankerModule } from "./reranker.module.js";

const log = new Logger("reranker");

/** After so long at most a gateway sends a reranker that was added its share. */
const CONNECTION_AGE_MS = 60_000;

await runService(log, async () => {
  const config = parseConfig(rerankerConfig, process.env);
  const security = TransportSecurity.openPrivate(config, log);
  const services = parseServices(process.argv.slice(2));
  const onLost = (error: unknown) => {
    log.error("model worker lost", { error });
    process.exit(1);
  };
  const metrics = new Metrics(config.MEMSEAL_TRACK);
  const tracing = Tracing.start({ service: "reranker", track: config.MEMSEAL_TRACK, url: config.MEMSEAL_OTLP_URL, log });
  return startGrpcService(await RerankerModule.create({ config, services, log, metrics, onLost }), {
    log,
    metrics,
    tracing,
    metricsAddress: config.MEMSEAL_METRICS_ADDRESS,
    drainMs: config.MEMSEAL_DRAIN_MS,
    security,
    peerNames: config.MEMSEAL_TLS_PEER_NAMES,
    address: config.MEMSEAL_RERANKER_ADDRESS,
    connectionAgeMs: CONNECTION_AGE_MS,
    descriptors: FILE_DESCRIPTORS,
    packages: {
      [RERANKER_PACKAGE]: {
        ...(services.has("embed") ? { Embedder: EmbedderService } : {}),
        ...(services.has("rerank") ? { Reranker: RerankerService } : {}),
      },
    },
  });
});
