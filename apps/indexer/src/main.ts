import "reflect-metadata";
import { parseConfig } from "@memseal/config";
import { FILE_DESCRIPTORS, INDEXER_PACKAGE, IndexerServiceService } from "@memseal/contracts/indexer";
import { freeBuffersInline } from "@memseal/crypto";
import { Logger, Metrics, Tracing } from "@memseal/telemetry";
import { runService, startGrpcService, TransportSecurity } from "@memseal/transport";
import { indexerConfig } from "./config.js";
import { IndexerModule } from "./indexer.module.js";

const log = new Logger("indexer");
freeBuffersInline();

await runService(log, async () => {
  const config = parseConfig(indexerConfig, process.env);
  const security = TransportSecurity.openPrivate(config, log);
  const metrics = new Metrics(config.MEMSEAL_TRACK);
  const tracing = Tracing.start({ service: "indexer", track: config.MEMSEAL_TRACK, url: config.MEMSEAL_OTLP_URL, log });
  const { module, isReady } = await IndexerModule.create(config, log, metrics);
  return startGrpcService(module, {
    isReady,
    descriptors: FILE_DESCRIPTORS,
    log,
    metrics,
    tracing,
    metricsAddress: config.MEMSEAL_METRICS_ADDRESS,
    drainMs: config.MEMSEAL_DRAIN_MS,
    security,
    peerNames: config.MEMSEAL_TLS_PEER_NAMES,
    address: config.MEMSEAL_INDEXER_ADDRESS,
    packages: { [INDEXER_PACKAGE]: { IndexerService: IndexerServiceService } },
  });
});
