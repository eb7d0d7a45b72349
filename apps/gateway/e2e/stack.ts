import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatApiKey, generateApiKey, generateAssertionKeys, hashApiKeySecret, parseApiKey } from "@memseal/auth";
import { userHash } from "@memseal/crypto";
import { FileRootKeys, loadSecret, type ApiKeyMacs } from "@memseal/keys";
import { createApiKey, destroyRootKey, revokeApiKey, rotateRootKey, type NewApiKey } from "@memseal/storage";
import { startTestDatabase, type EmbeddedTestDatabase } from "@memseal/storage/testing";
import { appScript, freePort, startProcess, type ServiceProcess } from "@memseal/transport/testing";
import { Gateway } from "./gateway.js";

/** Variables of each app beside those it needs. */
export type StackEnv = Readonly<Partial<Record<"gateway" | "indexer" | "reranker", Record<string, string>>>>;

/** A whole installation as processes: database, indexer, reranker and any number of gateways. */
export class Stack {
  readonly #started: ServiceProcess[] = [];
  #reranker: ServiceProcess | undefined;

  private constructor(
    readonly database: EmbeddedTestDatabase,
    private readonly files: Readonly<Record<"tenantSecret" | "pepper" | "rootKey" | "privateKey" | "publicKey" | "receiptKey" | "receiptPublicKey", string>>,
    readonly addresses: Readonly<Record<"indexer" | "reranker" | "indexerMetrics" | "rerankerMetrics", string>>,
    private readonly env: StackEnv,
  ) {}

  static async start(env: StackEnv = {}): Promise<Stack> {
    const database = await startTestDatabase();
    const file = (name: string, content: string | Buffer) => {
      const path = join(database.dir, name);
      writeFileSync(path, content, { mode: 0o600 });
      return path;
    };
    const [assertion, receipt] = [generateAssertionKeys(), generateAssertionKeys()];
    const files = {
      tenantSecret: file("tenant.secret", randomBytes(32)),
      pepper: file("api-key.pepper", randomBytes(32)),
      rootKey: database.rootKeyFile,
      privateKey: file("assertion.pem", assertion.privateKey),
      publicKey: file("assertion.pub", assertion.publicKey),
      receiptKey: file("receipt.key", receipt.privateKey),
      receiptPublicKey: file("receipt.pub", receipt.publicKey),
    };
    const stack = new Stack(database, files, {
      indexer: `127.0.0.1:${await freePort()}`,
      reranker: `127.0.0.1:${await freePort()}`,
      indexerMetrics: `127.0.0.1:${await freePort()}`,
      rerankerMetrics: `127.0.0.1:${await freePort()}`,
    }, env);
    await Promise.all([stack.startIndexer(stack.addresses.indexer, { MEMSEAL_METRICS_ADDRESS: stack.addresses.indexerMetrics }), stack.startReranker()]);
    return stack;
  }

  /** Every line that any process of this installation wrote. */
  get output(): string {
    return this.#started.flatMap(({ lines }) => lines).join("\n");
  }

  /** Of every process it started. */
  get pids(): number[] {
    return this.#started.map(({ pid }) => pid);
  }

  /** The variables of a gateway's key files. */
  get gatewayFiles(): Record<string, string> {
    return { MEMSEAL_TENANT_SECRET_FILE: this.files.tenantSecret, MEMSEAL_PEPPER_FILE: this.files.pepper, MEMSEAL_ASSERTION_KEY_FILE: this.files.privateKey, MEMSEAL_RECEIPT_PUBLIC_KEY_FILES: this.files.receiptPublicKey };
  }

  /** What each process of it shows to a scraper: gateway, indexer and reranker. */
  async metrics(gateway: Gateway): Promise<string[]> {
    const { indexerMetrics, rerankerMetrics } = this.addresses;
    const answers = await Promise.all([gateway.fetch("/metrics"), fetch(`http://${indexerMetrics}/metrics`), fetch(`http://${rerankerMetrics}/metrics`)]);
    return Promise.all(answers.map((answer) => answer.text()));
  }

  /** A key for a user, as `memseal keys create` makes it. */
  createKey(userId: string, scopes: readonly string[] = ["read", "write"]): Promise<string> {
    return this.#createKey({ tenant: userHash(loadSecret(this.files.tenantSecret), userId), namespace: "default", scopes });
  }

  /** As `memseal keys create --delegate`. */
  createDelegateKey(namespace: string, scopes: readonly string[] = ["read", "write"]): Promise<string> {
    return this.#createKey({ namespace, scopes: [...scopes, "delegate"] });
  }

  /** As `memseal keys revoke`. */
  async revokeKey(key: string): Promise<void> {
    await revokeApiKey(this.database.urls.owner, this.#keyMacs, parseApiKey(key).keyId);
  }

  get #keyMacs(): ApiKeyMacs {
    return FileRootKeys.open(this.files.rootKey).macs();
  }

  /** As `memseal keys rotate-root`. */
  async rotateRoot(): Promise<void> {
    await rotateRootKey(this.database.urls, FileRootKeys.open(this.files.rootKey), "rotate");
  }

  /** As `memseal keys destroy-root`. */
  async destroyRoot(version: number): Promise<void> {
    await destroyRootKey(this.database.urls.owner, FileRootKeys.open(this.files.rootKey), version);
  }

  async #createKey(parts: Pick<NewApiKey, "tenant" | "namespace" | "scopes">): Promise<string> {
    const key = generateApiKey();
    await createApiKey(this.database.urls.owner, this.#keyMacs, {
      keyId: key.keyId,
      secretHash: hashApiKeySecret(loadSecret(this.files.pepper), key.secret),
      ...parts,
    });
    return formatApiKey(key);
  }

  async startGateway(env: Record<string, string> = {}): Promise<Gateway> {
    const [http, grpc] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const gateway = await this.#run("gateway", {
      MEMSEAL_HTTP_ADDRESS: http,
      MEMSEAL_GRPC_ADDRESS: grpc,
      MEMSEAL_INDEXER_ADDRESS: this.addresses.indexer,
      MEMSEAL_RERANKER_ADDRESS: this.addresses.reranker,
      ...this.gatewayFiles,
      // A shared test machine is slower than the 250 ms that production allows.
      MEMSEAL_RERANK_TIMEOUT_MS: "5000",
      ...this.env.gateway,
      ...env,
    });
    return new Gateway(gateway, http, grpc);
  }

  /** One more indexer on the same database. */
  startIndexer(address: string, env: Record<string, string> = {}): Promise<ServiceProcess> {
    return this.#run("indexer", {
      MEMSEAL_INDEXER_ADDRESS: address,
      DATABASE_URL: this.database.urls.app,
      DATABASE_AUTH_URL: this.database.urls.auth,
      DATABASE_SCHEDULER_URL: this.database.urls.scheduler,
      MEMSEAL_ROOT_KEY_FILE: this.files.rootKey,
      MEMSEAL_ASSERTION_PUBLIC_KEY_FILES: this.files.publicKey,
      MEMSEAL_RECEIPT_KEY_FILE: this.files.receiptKey,
      ...this.env.indexer,
      ...env,
    });
  }

  /** Starts the reranker where it was before. `serve`: embed, rerank or both. */
  async startReranker(serve = "embed,rerank"): Promise<void> {
    this.#reranker = await this.startRerankerAt(this.addresses.reranker, { MEMSEAL_METRICS_ADDRESS: this.addresses.rerankerMetrics }, serve);
  }

  /** One more reranker. */
  startRerankerAt(address: string, env: Record<string, string> = {}, serve = "embed,rerank"): Promise<ServiceProcess> {
    return this.#run("reranker", { MEMSEAL_RERANKER_ADDRESS: address, MEMSEAL_DEVICE: "cpu", ...this.env.reranker, ...env }, ["--serve", serve]);
  }

  async killReranker(): Promise<void> {
    await this.#reranker?.kill("SIGKILL");
  }

  /** Runs `work` while the reranker stands still: whatever needs it stays under way. */
  async whileRerankerStands<T>(work: () => Promise<T>): Promise<T> {
    const { pid } = this.#reranker!;
    process.kill(pid, "SIGSTOP");
    try {
      return await work();
    } finally {
      process.kill(pid, "SIGCONT");
    }
  }

  async stop(): Promise<void> {
    // Gateways first: they are the ones with callers.
    for (const service of this.#started.reverse()) await service.kill("SIGTERM");
    await this.database.stop();
  }

  async #run(app: "gateway" | "indexer" | "reranker", env: Record<string, string>, args: readonly string[] = []): Promise<ServiceProcess> {
    const started = await startProcess(appScript(app), env, { args });
    this.#started.push(started);
    return started;
  }
}
