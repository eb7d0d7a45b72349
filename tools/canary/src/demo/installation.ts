import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatApiKey, generateApiKey, generateAssertionKeys, hashApiKeySecret } from "@memseal/auth";
import { userHash } from "@memseal/crypto";
import { ApiKeyMacs, loadSecret } from "@memseal/keys";
import { createApiKey } from "@memseal/storage";
import { startTestDatabase, type EmbeddedTestDatabase } from "@memseal/storage/testing";
import { freePort, startProcess, type ServiceProcess } from "@memseal/transport/testing";
import { ROOT } from "../repository.js";
import type { Service } from "../services.js";
import type { Track } from "../world.js";
import type { TrackAddresses } from "./haproxy.js";
import type { Target } from "./monitoring.js";

/** A fault of tools/canary/faults, and the service that has it. */
export interface Fault {
  readonly name: string;
  readonly service: Service;
}

export interface ServiceOptions {
  /** Of the repository, built. */
  readonly folder: string;
  readonly fault?: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface ReleaseOptions {
  /** Of the repository, built. */
  readonly folder: string;
  readonly track: Track;
  /** Begins when `faultFile` is there. */
  readonly fault?: Fault | undefined;
  readonly faultFile?: string;
}

/** One release as processes: gateway, indexer and reranker. */
export interface RunningRelease {
  /** Of its gateway. */
  readonly addresses: TrackAddresses;
  readonly targets: readonly Target[];
  stop(): Promise<void>;
}

/** What begins the fault of a candidate that has this folder. */
export function faultFileIn(dir: string): string {
  return join(dir, "fault");
}

const faultScript = (name: string): string => join(ROOT, "tools/canary/dist/faults", `${name}.js`);

/** A database and the secrets of an installation, on which any number of releases run. */
export class Installation {
  private constructor(
    private readonly database: EmbeddedTestDatabase,
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

  /** Of what lies beside the database; gone with it. */
  get dir(): string {
    return this.database.dir;
  }

  /** A process of a repository that is built, with the secrets and the connections that its service has. fault: the name of one to run it with. */
  startService(service: Service, { folder, fault, env }: ServiceOptions): Promise<ServiceProcess> {
    const main = join(folder, "apps", service, "dist/main.js");
    const [script, args] = fault === undefined ? [main, []] : [faultScript(fault), [main]];
    return startProcess(script, { ...this.#own(service), ...env }, { args });
  }

  async startRelease({ folder, track, fault, faultFile }: ReleaseOptions): Promise<RunningRelease> {
    const [http, grpc, indexer, indexerMetrics, reranker, rerankerMetrics] = await Promise.all(Array.from({ length: 6 }, async () => `127.0.0.1:${await freePort()}`));
    const start = (service: Service, env: Readonly<Record<string, string>>): Promise<ServiceProcess> => {
      const isFaulty = fault?.service === service;
      const begins: Record<string, string> = isFaulty && faultFile !== undefined ? { MEMSEAL_FAULT_FILE: faultFile } : {};
      return this.startService(service, { folder, ...(isFaulty && { fault: fault.name }), env: { ...env, MEMSEAL_TRACK: track, ...begins } });
    };
    const started = await Promise.all([
      start("gateway", {
        MEMSEAL_HTTP_ADDRESS: http,
        MEMSEAL_GRPC_ADDRESS: grpc,
        MEMSEAL_INDEXER_ADDRESS: indexer,
        MEMSEAL_RERANKER_ADDRESS: reranker,
        // Two releases, their load and what watches them share this machine: it is slower than the 250 ms that production allows.
        MEMSEAL_RERANK_TIMEOUT_MS: "5000",
      }),
      start("indexer", { MEMSEAL_INDEXER_ADDRESS: indexer, MEMSEAL_METRICS_ADDRESS: indexerMetrics }),
      start("reranker", {
        MEMSEAL_RERANKER_ADDRESS: reranker,
        MEMSEAL_METRICS_ADDRESS: rerankerMetrics,
        MEMSEAL_DEVICE: "cpu",
        // Two releases share this machine's cores.
        MEMSEAL_RERANK_WORKERS: "1",
      }),
    ]);
    return {
      addresses: { http, grpc },
      targets: [{ service: "gateway", track, address: http }, { service: "indexer", track, address: indexerMetrics }, { service: "reranker", track, address: rerankerMetrics }],
      stop: async () => {
        // The gateway first: it is the one with callers.
        for (const service of started) await service.kill("SIGTERM");
      },
    };
  }

  stop(): Promise<void> {
    return this.database.stop();
  }

  #own(service: Service): Record<string, string> {
    switch (service) {
      case "gateway":
        return { MEMSEAL_TENANT_SECRET_FILE: this.files.tenantSecret, MEMSEAL_PEPPER_FILE: this.files.pepper, MEMSEAL_ASSERTION_KEY_FILE: this.files.privateKey };
      case "indexer":
        return {
          DATABASE_URL: this.database.urls.app,
          DATABASE_AUTH_URL: this.database.urls.auth,
          DATABASE_SCHEDULER_URL: this.database.urls.scheduler,
          MEMSEAL_ROOT_KEY_FILE: this.files.rootKey,
          MEMSEAL_ASSERTION_PUBLIC_KEY_FILES: this.files.publicKey,
        };
      case "reranker":
        return {};
    }
  }
}
