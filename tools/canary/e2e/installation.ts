import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatApiKey, generateApiKey, generateAssertionKeys, hashApiKeySecret } from "@memseal/auth";
import { userHash } from "@memseal/crypto";
import { ApiKeyMacs, loadSecret } from "@memseal/keys";
import { createApiKey } from "@memseal/storage";
import { startTestDatabase, type EmbeddedTestDatabase } from "@memseal/storage/testing";
import { freePort, startProcess, type ServiceProcess } from "@memseal/transport/testing";

const mainOf = (app: string): string => fileURLToPath(new URL(`../../../apps/${app}/dist/main.js`, import.meta.url));
const faultNamed = (name: string): string => fileURLToPath(new URL(`../dist/faults/${name}.js`, import.meta.url));

export interface Change {
  /** Name of a fault to run it with; as it is without. */
  readonly fault?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A gateway or an indexer as a process, and where it answers. */
export interface RunningApp {
  readonly process: ServiceProcess;
  /** Of its API: host:port. */
  readonly address: string;
  /** Of its metrics: host:port. */
  readonly metrics: string;
}

/** A database, and any number of indexers and gateways on it. There is no reranker: callers bring their own vectors. */
export class Installation {
  readonly #started: ServiceProcess[] = [];

  private constructor(
    readonly database: EmbeddedTestDatabase,
    private readonly files: Readonly<Record<"tenantSecret" | "pepper" | "rootKey" | "privateKey" | "publicKey", string>>,
  ) {}

  static async start(): Promise<Installation> {
    const database = await startTestDatabase();
    const file = (name: string, content: string | Buffer): string => {
      const path = join(database.dir, name);
      writeFileSync(path, content, { mode: 0o600 });
      return path;
    };
    const assertion = generateAssertionKeys();
    return new Installation(database, {
      tenantSecret: file("tenant.secret", randomBytes(32)),
      pepper: file("api-key.pepper", randomBytes(32)),
      rootKey: file("root.key", randomBytes(32)),
      privateKey: file("assertion.pem", assertion.privateKey),
      publicKey: file("assertion.pub", assertion.publicKey),
    });
  }

  async startIndexer(change: Change = {}): Promise<RunningApp> {
    const [address, metrics] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const process = await this.#run("indexer", change, {
      MEMSEAL_INDEXER_ADDRESS: address,
      MEMSEAL_METRICS_ADDRESS: metrics,
      DATABASE_URL: this.database.urls.app,
      DATABASE_AUTH_URL: this.database.urls.auth,
      DATABASE_SCHEDULER_URL: this.database.urls.scheduler,
      MEMSEAL_ROOT_KEY_FILE: this.files.rootKey,
      MEMSEAL_ASSERTION_PUBLIC_KEY_FILES: this.files.publicKey,
    });
    return { process, address, metrics };
  }

  async startGateway(indexer: RunningApp, change: Change = {}): Promise<RunningApp> {
    const address = `127.0.0.1:${await freePort()}`;
    const process = await this.#run("gateway", change, {
      MEMSEAL_HTTP_ADDRESS: address,
      MEMSEAL_GRPC_ADDRESS: `127.0.0.1:${await freePort()}`,
      MEMSEAL_INDEXER_ADDRESS: indexer.address,
      MEMSEAL_RERANKER_ADDRESS: `127.0.0.1:${await freePort()}`,
      MEMSEAL_TENANT_SECRET_FILE: this.files.tenantSecret,
      MEMSEAL_PEPPER_FILE: this.files.pepper,
      MEMSEAL_ASSERTION_KEY_FILE: this.files.privateKey,
    });
    return { process, address, metrics: address };
  }

  /** A key of a user who may read and write, as `memseal keys create` makes it. */
  async createKey(userId: string): Promise<string> {
    const key = generateApiKey();
    await createApiKey(this.database.urls.owner, new ApiKeyMacs(loadSecret(this.files.rootKey)), {
      keyId: key.keyId,
      secretHash: hashApiKeySecret(loadSecret(this.files.pepper), key.secret),
      tenant: userHash(loadSecret(this.files.tenantSecret), userId),
      namespace: "default",
      scopes: ["read", "write"],
    });
    return formatApiKey(key);
  }

  async stop(): Promise<void> {
    // Gateways were started after their indexers.
    for (const service of this.#started.reverse()) await service.kill("SIGTERM");
    await this.database.stop();
  }

  async #run(app: string, { fault, env }: Change, own: Record<string, string>): Promise<ServiceProcess> {
    const [script, args] = fault === undefined ? [mainOf(app), []] : [faultNamed(fault), [mainOf(app)]];
    const started = await startProcess(script, { ...own, ...env }, { args });
    this.#started.push(started);
    return started;
  }
}
