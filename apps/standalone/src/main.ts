import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseConfig } from "@memseal/config";
import { ensureLocalSecrets, FileRootKeys } from "@memseal/keys";
import { listApiKeys } from "@memseal/storage";
import { Logger } from "@memseal/telemetry";
import { runService } from "@memseal/transport";
import { banner } from "./banner.js";
import { standaloneConfig } from "./config.js";
import { openDatabase } from "./database.js";
import { ensureHome, ensureReceiptKeys, firstApiKey, hasData, warnOfRefused, writeAssertionKeys } from "./local-files.js";
import { ensurePrivateDir, RunDir } from "./run-dir.js";
import { ServiceProcess, type ServiceSpec } from "./service-process.js";

const log = new Logger("standalone");

/** Three services one after the other, 12 s each, and a database that may take 30 s to close its connections. */
const STOP_WITHIN_MS = 75_000;

const scriptOf = (app: string) => fileURLToPath(new URL(`../../${app}/dist/main.js`, import.meta.url));

await runService(log, async () => {
  const config = parseConfig(standaloneConfig, process.env);
  const home = ensureHome(config.MEMSEAL_HOME);
  const run = await RunDir.claim(home);

  // In the order they stop: who calls before who is called.
  const parts: { stop(): Promise<void> }[] = [run];
  const close = async () => {
    for (const part of parts) await part.stop();
  };
  // Registered before it is ready, so that it is stopped even then.
  const startChild = (spec: Omit<ServiceSpec, "script">): Promise<void> => {
    const child = new ServiceProcess({ ...spec, script: scriptOf(spec.name) }, log);
    parts.unshift(child);
    return child.start();
  };
  try {
    const secretsDir = join(home, "secrets");
    const secrets = ensureLocalSecrets(secretsDir, { hasData: hasData(home) });
    ensurePrivateDir(secretsDir);
    const { privateKeyFile, publicKeyFile } = writeAssertionKeys(run.path);
    const receiptKeys = ensureReceiptKeys(secretsDir, run.path);
    const socketOf = (name: string) => join(run.path, `${name}.sock`);
    const [rerankerSocket, rerankerMetrics] = [socketOf("reranker"), socketOf("reranker-metrics")];
    const [indexerSocket, indexerMetrics] = [socketOf("indexer"), socketOf("indexer-metrics")];

    // The reranker loads its models while the database starts.
    const reranker = startChild({
      name: "reranker",
      sockets: [rerankerSocket, rerankerMetrics],
      env: {
        MEMSEAL_MODELS_DIR: config.MEMSEAL_MODELS_DIR ?? join(home, "models"),
        MEMSEAL_RERANKER_ADDRESS: `unix:${rerankerSocket}`,
        MEMSEAL_METRICS_ADDRESS: `unix:${rerankerMetrics}`,
      },
    });
    // Awaited below, where its failure is handled; without this it would be unhandled until then.
    reranker.catch(() => undefined);
    const database = await openDatabase(config, log);
    parts.unshift(database);
    await reranker;
    await startChild({
      name: "indexer",
      sockets: [indexerSocket, indexerMetrics],
      env: {
        MEMSEAL_METRICS_ADDRESS: `unix:${indexerMetrics}`,
        MEMSEAL_INDEXER_ADDRESS: `unix:${indexerSocket}`,
        DATABASE_URL: database.urls.app,
        DATABASE_AUTH_URL: database.urls.auth,
        DATABASE_SCHEDULER_URL: database.urls.scheduler,
        MEMSEAL_ROOT_KEY_FILE: secrets.files.rootKey,
        MEMSEAL_ASSERTION_PUBLIC_KEY_FILES: publicKeyFile,
        MEMSEAL_RECEIPT_KEY_FILE: receiptKeys.privateKeyFile,
      },
    });
    await startChild({
      name: "gateway",
      env: {
        MEMSEAL_HTTP_ADDRESS: config.MEMSEAL_HTTP_ADDRESS,
        MEMSEAL_GRPC_ADDRESS: config.MEMSEAL_GRPC_ADDRESS,
        MEMSEAL_INDEXER_ADDRESS: `unix:${indexerSocket}`,
        MEMSEAL_RERANKER_ADDRESS: `unix:${rerankerSocket}`,
        MEMSEAL_TENANT_SECRET_FILE: secrets.files.tenantSecret,
        MEMSEAL_PEPPER_FILE: secrets.files.pepper,
        MEMSEAL_ASSERTION_KEY_FILE: privateKeyFile,
        MEMSEAL_RECEIPT_PUBLIC_KEY_FILES: receiptKeys.publicKeyFile,
      },
    });
    const macs = FileRootKeys.open(secrets.files.rootKey).macs();
    const apiKey = await firstApiKey(home, secrets, { ownerUrl: database.urls.owner, macs });
    warnOfRefused(await listApiKeys(database.urls.owner, macs), log);
    process.stdout.write(`${banner({
      httpUrl: `${config.MEMSEAL_PUBLIC_TLS_CERT_FILE === undefined ? "http" : "https"}://${config.MEMSEAL_HTTP_ADDRESS}`,
      grpcAddress: config.MEMSEAL_GRPC_ADDRESS,
      home,
      apiKey,
      newSecretsDir: secrets.created ? secretsDir : undefined,
    })}\n`);
    return { address: config.MEMSEAL_HTTP_ADDRESS, close };
  } catch (error) {
    await close();
    throw error;
  }
}, { stopWithinMs: STOP_WITHIN_MS });
