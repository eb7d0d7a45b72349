import { join } from "node:path";
import { parseConfig } from "@memseal/config";
import { ensureLocalSecrets } from "@memseal/keys";
import { Logger } from "@memseal/telemetry";
import { runService } from "@memseal/transport";
import { banner } from "./banner.js";
import { standaloneConfig } from "./config.js";
import { openDatabase } from "./database.js";
import { ensureHome, ensurePrivateDir, firstApiKey, socketDir, writeAssertionKeys } from "./local-files.js";
import { ServiceProcess } from "./service-process.js";

const log = new Logger("standalone");

const scriptOf = (app: string) => new URL(`../../${app}/dist/main.js`, import.meta.url).pathname;

await runService(log, async () => {
  const config = parseConfig(standaloneConfig, process.env);
  const home = ensureHome(config.MEMSEAL_HOME);
  const secrets = ensureLocalSecrets(ensurePrivateDir(join(home, "secrets")));
  const run = socketDir(home);
  const { privateKeyFile, publicKeyFile } = writeAssertionKeys(run);
  const rerankerSocket = join(run, "reranker.sock");
  const indexerSocket = join(run, "indexer.sock");

  // In the order they stop: who calls before who is called.
  const started: { stop(): Promise<void> }[] = [];
  const close = async () => {
    for (const part of started) await part.stop();
  };
  try {
    // The reranker loads its models while the database starts.
    const reranker = ServiceProcess.start({ name: "reranker", script: scriptOf("reranker"), socket: rerankerSocket, env: { MEMSEAL_RERANKER_ADDRESS: `unix:${rerankerSocket}` } }, log);
    // Awaited below, where its failure is handled; without this it would be unhandled until then.
    reranker.catch(() => undefined);
    const database = await openDatabase(config, log);
    started.unshift(database);
    started.unshift(await reranker);
    started.unshift(await ServiceProcess.start({
      name: "indexer",
      script: scriptOf("indexer"),
      socket: indexerSocket,
      env: {
        MEMSEAL_INDEXER_ADDRESS: `unix:${indexerSocket}`,
        DATABASE_URL: database.urls.app,
        DATABASE_AUTH_URL: database.urls.auth,
        MEMSEAL_ROOT_KEY_FILE: secrets.files.rootKey,
        MEMSEAL_ASSERTION_PUBLIC_KEY_FILES: publicKeyFile,
      },
    }, log));
    started.unshift(await ServiceProcess.start({
      name: "gateway",
      script: scriptOf("gateway"),
      env: {
        MEMSEAL_HTTP_ADDRESS: config.MEMSEAL_HTTP_ADDRESS,
        MEMSEAL_GRPC_ADDRESS: config.MEMSEAL_GRPC_ADDRESS,
        MEMSEAL_INDEXER_ADDRESS: `unix:${indexerSocket}`,
        MEMSEAL_RERANKER_ADDRESS: `unix:${rerankerSocket}`,
        MEMSEAL_TENANT_SECRET_FILE: secrets.files.tenantSecret,
        MEMSEAL_PEPPER_FILE: secrets.files.pepper,
        MEMSEAL_ASSERTION_KEY_FILE: privateKeyFile,
      },
    }, log));
    const apiKey = await firstApiKey(join(home, "api-key"), secrets, database.urls.owner);
    process.stdout.write(`${banner({
      httpAddress: config.MEMSEAL_HTTP_ADDRESS,
      grpcAddress: config.MEMSEAL_GRPC_ADDRESS,
      home,
      apiKey,
      newSecretsDir: secrets.created ? join(home, "secrets") : undefined,
    })}\n`);
    return { address: config.MEMSEAL_HTTP_ADDRESS, close };
  } catch (error) {
    await close();
    throw error;
  }
});
